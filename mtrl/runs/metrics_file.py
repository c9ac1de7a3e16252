"""`metrics.jsonl`, read: what is no line of it is left out and named, and all else is as training writes it."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mtrl.runs.event_check import check_event
from mtrl.runs.events import Logged
from mtrl.runs.files import read_regular
from mtrl.runs.json_text import parse_json

Warn = Callable[[str], None]

_MOST_BYTES = 1 << 30
_NAMED = 3  # lines that are named before the others are only counted


class Line(NamedTuple):
    """A line that could be read."""

    number: int
    text: bytes
    event: Logged


def read_lines(path: Path, warn: Warn, last: int | None = None) -> list[Line]:
    """The lines that are whole, in themselves and beside the others.

    Steps (epochs) of a kind of line must increase, and name the tasks that the run names: of the lines of a kind that
    contradict each other, as few as possible are left out.

    Args:
        path: of the file.
        warn: is given a line for each of the first few that are left out, with number and reason, and their count.
        last: how many lines at the end are read, beside the first, which names the tasks; all by default.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no regular file, or too large.
    """
    bad: dict[int, str] = {}
    lines: list[Line] = []
    texts = [(k, text) for k, text in enumerate(read_regular(path, _MOST_BYTES).split(b"\n"), 1) if text.strip()]
    for number, text in texts if last is None else texts[:1] + texts[1:][-last:]:
        try:
            lines.append(Line(number, text, check_event(parse_json(text))))
        except ValueError as error:
            bad[number] = str(error)
    lines = _in_order(_of_one_run(lines, bad), bad)
    for number in sorted(bad)[:_NAMED]:
        warn(f"{path}: line {number} is left out: {bad[number]}")
    if len(bad) > _NAMED:
        warn(f"{path}: {len(bad)} of {len(lines) + len(bad)} lines are left out")
    return lines


def read_events(path: Path, warn: Warn = lambda line: None, last: int | None = None) -> list[Logged]:
    """The events of the lines that `read_lines` finds whole; none if there is no file, or none that can be read."""
    try:
        return [line.event for line in read_lines(path, warn, last)]
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        warn(f"{path}: {reason}")
        return []


def _of_one_run(lines: Sequence[Line], bad: dict[int, str]) -> list[Line]:
    """The lines without those that lack a task of the run, or a metric of the first line of their kind."""
    events: list[Mapping[str, Any]] = [line.event for line in lines]
    tasks = next((set(event["tasks"]) for event in events if "tasks" in event), None)
    wanted: dict[tuple[str, str], set[str]] = {}
    for line in lines:
        found = _named(line.event)
        if found is None:
            continue
        of_kind = tasks if tasks is not None and "metrics" not in line.event else found
        if missing := wanted.setdefault(_kind(line.event), of_kind) - found:
            bad[line.number] = f"it does not name {', '.join(sorted(missing))}, as the run does"
    return [line for line in lines if line.number not in bad]


def _named(event: Mapping[str, Any]) -> set[str] | None:
    key = next((key for key in ("return", "success", "success_any", "metrics") if key in event), None)
    return None if key is None else set(event[key])


def _kind(event: Mapping[str, Any]) -> tuple[str, str]:
    return event["kind"], str(event.get("split", ""))


def _step(event: Mapping[str, Any]) -> int:
    """The step of an event, or its epoch."""
    step: int = event["epoch"] if "epoch" in event else event.get("step", 0)
    return step


def _in_order(lines: Sequence[Line], bad: dict[int, str]) -> list[Line]:
    """The lines without the fewest of a kind that leave its steps increasing."""
    counted: dict[tuple[str, str], list[Line]] = {}
    for line in lines:
        if line.event["kind"] != "start":
            counted.setdefault(_kind(line.event), []).append(line)
    for of_kind in counted.values():
        steps = [_step(line.event) for line in of_kind]
        kept = set(_longest_increasing(steps))
        for index, line in enumerate(of_kind):
            if index not in kept:
                bad[line.number] = f"its step {steps[index]:,} is not between those of the lines around it"
    return [line for line in lines if line.number not in bad]


def _longest_increasing(values: Sequence[int]) -> Iterator[int]:
    """Indices of a longest subsequence that increases, from its end (patience sorting)."""
    ends: list[int] = []  # of the subsequences of each length, the one that ends lowest
    lowest: list[int] = []
    before: list[int] = []
    for index, value in enumerate(values):
        length = bisect_left(lowest, value)
        before.append(ends[length - 1] if length else -1)
        ends[length : length + 1], lowest[length : length + 1] = [index], [value]
    index = ends[-1] if ends else -1
    while index >= 0:
        yield index
        index = before[index]
