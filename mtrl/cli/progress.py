"""How a run goes on: a bar and the tasks' success on a terminal, lines that are never long apart otherwise."""

import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, TaskProgressColumn, TextColumn
from rich.progress import Progress as Bar
from rich.text import Text

from mtrl.cli.live_table import RETURN, SUCCESS, task_table
from mtrl.cli.part import Part, detail, text
from mtrl.cli.screen import print_plain
from mtrl.runs.events import SCORES, Evaluation, Event
from mtrl.runs.events import Progress as Told
from mtrl.runs.stop_signals import is_asked_to_stop

QUIET_S = 25.0
_LOOK_EVERY_S = 0.5
_AROUND = 5  # lines beside the table's rows: the bar, what goes on, the header, the prompt
_UNSAID = ("training",)  # phases that no line of a log begins: their progress follows


class Progress:
    """Shows the events of one run, or of several parts that go on at once; a context manager.

    A log has a line for every phase and every logged event, and one that says what is going on whenever there was none
    for a while: a thread of its own writes it, so that one slow step, or a compilation, is not silent.

    Args:
        console: where to print.
        label: what a line begins with.
        steps: of the run; an evaluation has none.
        quiet_s: the longest time without a line in a log.
    """

    def __init__(self, console: Console, label: str, steps: int = 1, quiet_s: float = QUIET_S) -> None:
        self._console, self._label, self._steps, self._quiet_s = console, label, steps, quiet_s
        self.waiting, self.at_once = 0, 1  # parts that are still to begin, and how many of them go on at once
        self._whole_s = 0.0  # that a part takes
        self._bar = Bar(TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), console=console)
        self._task = self._bar.add_task(label, total=1.0)
        self._shares: dict[str, float] = {}
        self._success: dict[int, Mapping[str, float | None]] = {}
        self._returns: dict[int, Mapping[str, float | None]] = {}
        self._parts: dict[str, Part] = {}
        self._live = Live(console=console, transient=True, get_renderable=self._shown) if console.is_terminal else None
        self._printed = time.monotonic()
        self._ended = threading.Event()
        self._heart = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        else:
            self._heart.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()
        else:
            self._ended.set()
            self._heart.join()

    def begin(self, part: str) -> None:
        """A part that was waiting begins."""
        self.waiting -= 1
        self._parts[part] = Part(part, time.monotonic())

    def end(self, part: str) -> None:
        """A part is over and no longer shown."""
        self._parts.pop(part, None)

    def update(self, event: Event, label: str | None = None, part: str | None = None) -> None:
        """Take one event of `mtrl.agents.train` or `mtrl.agents.evaluate`.

        Args:
            event: the event.
            label: of its line, if it is one seed's of several.
            part: that it comes from, of several.
        """
        label, part, now = label or self._label, part or self._label, time.monotonic()
        current = self._parts.get(part) or Part(part, now)
        if event["kind"] == "progress":
            self._progressed(current.progressed(event, now), event)
        elif event["kind"] == "phase":
            self._parts[part] = current.entered(event["phase"], now)
            if event["phase"] not in _UNSAID and not self._live:
                self._print(label, event["phase"])
        elif event["kind"] == "train" and not self._live:
            # Its own speeds are those since the last such line, whatever came in between.
            now_told: Told = current.current or {"kind": "progress"}
            stands: Told = {
                "kind": "progress",
                "step": event["step"],
                "steps": self._steps,
                "steps_per_s": now_told.get("steps_per_s", event.get("steps_per_s")),
                "updates_per_s": now_told.get("updates_per_s", event.get("updates_per_s")),
                "left_s": now_told.get("left_s"),
            }
            for kind in SCORES:
                if kind in event:
                    stands[kind] = event[kind]
            self._print(label, detail(stands))
        elif event["kind"] == "note":
            self._print(label, event["text"])
        elif event["kind"] == "evaluation":
            self._print(label, f"step {event['step']:,}, evaluation: {_scores(event)}")

    def text(self) -> str:
        """What goes on now, part by part where they are in different phases."""
        now, parts = time.monotonic(), list(self._parts.values())
        later_s = -(-self.waiting // self.at_once) * self._whole_s
        phases = {part.phase: [other for other in parts if other.phase == part.phase] for part in parts}
        words = [
            ("" if len(phases) == 1 else f"{_names(alike)}: ") + text(alike, now, later_s) for alike in phases.values()
        ]
        stopping = ["stopping, with a checkpoint, after this step"] if is_asked_to_stop() else []
        return "; ".join([*stopping, *words]) or ("ending" if self._shares else "starting")

    def _progressed(self, part: Part, event: Told) -> None:
        self._parts[part.label] = part
        self._shares[part.label] = event["share"] if "share" in event else event["step"] / self._steps
        self._success |= event.get("success", {})
        self._returns |= event.get("returns", {})
        if "share" not in event and (left_s := event.get("left_s")) is not None:
            self._whole_s = event["wall_s"] + left_s

    def _print(self, label: str, line: str) -> None:
        self._printed = time.monotonic()
        print_plain(self._console, f"{label}: {line}")

    def _beat(self) -> None:
        is_stop_told = False
        while not self._ended.wait(min(_LOOK_EVERY_S, self._quiet_s / 4)):
            stops = is_asked_to_stop() and not is_stop_told
            if stops or time.monotonic() >= self._printed + self._quiet_s:
                is_stop_told |= stops
                self._print(self._label, self.text())

    def _shown(self) -> Group:
        shares = list(self._shares.values())
        self._bar.update(self._task, completed=sum(shares) / max(1, len(shares)))
        known = {SUCCESS: dict(sorted(self._success.items())), RETURN: dict(sorted(self._returns.items()))}
        known = {score: values for score, values in known.items() if values}
        height = (self._console.height - _AROUND) // max(1, len(known))
        return Group(self._bar, Text(self.text()), *(task_table(values, height, s) for s, values in known.items()))


def _names(parts: list[Part]) -> str:
    """`seed_0 seed_1` of `mt10/seed_0` and `mt10/seed_1`."""
    return " ".join(part.label.rsplit("/", 1)[-1] for part in parts)


def _scores(event: Evaluation) -> str:
    """Success where there is any, and the returns of the tasks that tell of none."""
    parts = []
    if "success_any" in event:
        parts.append(f"any-step {_mean(event['success_any'])}, final-step {_mean(event['success_final'])}")
    others = {
        task: value for task, value in event.get("return", {}).items() if task not in event.get("success_any", {})
    }
    shares = event.get("normalized_return", {})
    if others and set(others) == set(shares):
        parts.append(f"normalized return {_mean(shares)}")
    elif others:
        parts.append(f"return {_mean(others)}")
    return ", ".join(parts)


def _mean(rates: Mapping[str, Any]) -> str:
    return f"{sum(rates.values()) / len(rates):.2f}"
