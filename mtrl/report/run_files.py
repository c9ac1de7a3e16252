"""Run folders and the files in them: found and parsed."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Warn = Callable[[str], None]
Record = Mapping[str, Any]


class ReportError(Exception):
    """A run that cannot be reported, in one line that a user can act on."""


@dataclass(frozen=True)
class RunFiles:
    """What `config.yaml` and `metrics.jsonl` of a run hold."""

    config: Record
    start: Record
    """The last `start` event: a resumed run has several."""
    train: list[Record]
    evaluations: list[Record]


def find_runs(paths: Iterable[Path]) -> list[Path]:
    """Run folders behind `paths`: each is one itself, or holds some named `seed_<k>`. Each comes once.

    Raises:
        ReportError: there is none behind a path.
    """
    found: dict[Path, Path] = {}
    for path in paths:
        candidates = [path] if _is_run(path) else sorted(path.glob("seed_*"), key=_seed)
        inside = [candidate for candidate in candidates if _is_run(candidate)]
        if not inside:
            what = "holds no run: no config.yaml, no seed_<k>" if path.is_dir() else "is no folder"
            raise ReportError(f"{path} {what}")
        found |= {run.resolve(): run for run in inside}
    return list(found.values())


def read_run_files(folder: Path, warn: Warn) -> RunFiles:
    """Read them; of a run still going, as far as it goes.

    Args:
        folder: the seed's folder.
        warn: is given a line for everything that had to be dropped.

    Raises:
        ReportError: a file is missing or is not what a run writes.
    """
    config = parse_file(folder / "config.yaml", yaml.safe_load)
    metrics = folder / "metrics.jsonl"
    records = parse_file(metrics, lambda text: list(_read_records(text, metrics, warn)))
    starts, train, evaluations = (
        [record for record in records if record["kind"] == kind] for kind in ("start", "train", "evaluation")
    )
    if not starts:
        raise ReportError(f"{metrics} has no start line yet")
    return RunFiles(config, starts[-1], train, evaluations)


def parse_file(path: Path, parser: Callable[[str], Any]) -> Any:
    """What a parser makes of a file's text.

    Raises:
        ReportError: it cannot be read, or is not what the parser expects.
    """
    try:
        return parser(path.read_text(encoding="utf-8", errors="replace"))
    except OSError as error:
        raise ReportError(f"{path}: {error.strerror}") from error
    except (ValueError, yaml.YAMLError) as error:
        raise ReportError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error


def _read_records(text: str, path: Path, warn: Warn) -> Iterator[Record]:
    """The JSON objects of `metrics.jsonl`. A run that was killed leaves half a line."""
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        if isinstance(record, dict) and "kind" in record:
            yield record
        else:
            warn(f"{path}: line {number} is truncated, dropped")


@contextmanager
def as_written(path: Path) -> Iterator[None]:
    """What is done within reads what a run wrote at this path.

    Raises:
        ReportError: it is not as a run writes it.
    """
    try:
        yield
    except (KeyError, TypeError, ValueError) as error:
        reason = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
        raise ReportError(f"{path} is not as a run writes it: {reason}") from error


def _is_run(path: Path) -> bool:
    return (path / "config.yaml").is_file()


def _seed(path: Path) -> tuple[int, str]:
    number = path.name.removeprefix("seed_")
    return (int(number) if number.isdecimal() else -1, path.name)
