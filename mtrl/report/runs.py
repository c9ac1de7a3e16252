"""A run folder, read: its configuration, its curves and its final evaluation.

Axes: N logged points, T tasks. Steps are environment steps summed over tasks.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from mtrl.protocols import EVALUATION_FILES
from mtrl.report.history import History, read_history

Warn = Callable[[str], None]
Record = Mapping[str, Any]


class ReportError(Exception):
    """A run that cannot be reported, in one line that a user can act on."""


@dataclass(frozen=True)
class Curve:
    """Any-step success over training."""

    steps: NDArray[np.int64]
    """`[N]`, increasing."""
    success: NDArray[np.float64]
    """`[N, T]`; NaN where no episode had finished."""


@dataclass(frozen=True)
class Evaluation:
    """`evaluation.json`, or `evaluation-legacy.json`: the success that counts under a protocol."""

    protocol: Record
    simulator: Record
    step: int
    tasks: tuple[str, ...]
    episodes: tuple[int, ...]
    success_any: NDArray[np.float64]
    """Share of the episodes with success at some step, `[T]`."""
    success_final: NDArray[np.float64]
    """Share of the episodes with success at the last step, `[T]`."""
    mean_return: NDArray[np.float64]
    """Undiscounted, `[T]`."""


@dataclass(frozen=True)
class Run:
    """One seed."""

    folder: Path
    name: str
    """Of the run, labelled if it is a single-task baseline."""
    seed: int
    tasks: tuple[str, ...]
    config: Record
    horizon: int
    """Of the training episodes."""
    evaluation_horizon: int
    backend: str
    """Simulator of the training."""
    device: str
    hardware: str
    git_commit: str | None
    versions: Record
    """Of packages."""
    training: Curve
    """Of the stochastic policy's recent episodes at the training horizon."""
    evaluations: Curve
    """Of the deterministic policy, during training."""
    history: History
    """Of the same events as `training`."""
    steps: int
    """Trained so far."""
    updates: int
    wall_s: float
    results: tuple[Evaluation, ...]
    """One a protocol; `modern` first."""
    videos: tuple[Path, ...]

    @property
    def is_single_task(self) -> bool:
        """Whether an agent of its own learned each task: their gradients never meet."""
        return self.config.get("agent", {}).get("single_task", "none") != "none"


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


def read_run(folder: Path, warn: Warn) -> Run:
    """Read one run folder; a run still going, or one without an evaluation, is read as far as it goes.

    Args:
        folder: the seed's folder.
        warn: is given a line for everything that had to be dropped.

    Raises:
        ReportError: a file is missing or is not what a run writes.
    """
    config = parse_file(folder / "config.yaml", yaml.safe_load)
    metrics = folder / "metrics.jsonl"
    records = parse_file(metrics, lambda text: list(read_records(text, metrics, warn)))
    evaluations_there = [path for name in EVALUATION_FILES.values() if (path := folder / name).exists()]
    try:
        starts = [record for record in records if record["kind"] == "start"]
        if not starts:
            raise ReportError(f"{metrics} has no start line yet")
        tasks = tuple(starts[-1]["tasks"])
        train = [record for record in records if record["kind"] == "train"]
        evaluations = [record for record in records if record["kind"] == "evaluation"]
        return Run(
            folder=folder,
            name=_name(config),
            seed=int(starts[-1]["seed"]),
            tasks=tasks,
            config=config,
            horizon=int(config["env"]["horizon"]),
            evaluation_horizon=int(config["evaluation"]["horizon"]),
            backend=str(starts[-1]["simulator"]["backend"]),
            device=str(starts[-1]["device"]),
            hardware=str(starts[-1]["hardware"]),
            git_commit=starts[-1]["git_commit"],
            versions={**starts[-1]["versions"], **starts[-1]["simulator"]["versions"]},
            training=_curve(train, "success", tasks),
            evaluations=_curve(evaluations, "success_any", tasks),
            history=read_history(train, tasks),
            steps=int(train[-1]["step"]) if train else 0,
            updates=int(train[-1]["updates"]) if train else 0,
            wall_s=float(train[-1]["wall_s"]) if train else 0.0,
            results=tuple(read_evaluation(path) for path in evaluations_there),
            videos=tuple(sorted(folder.glob("videos/**/*.mp4"))),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ReportError(f"{folder} is not as a run writes it: {reason_of(error)}") from error


def read_evaluation(path: Path) -> Evaluation:
    """Read an `evaluation.json`.

    Raises:
        ReportError: it is missing or is not what a run writes.
    """
    record = parse_file(path, json.loads)
    try:
        return parse_evaluation(record)
    except (KeyError, TypeError, ValueError) as error:
        raise ReportError(f"{path} is not as a run writes it: {reason_of(error)}") from error


def parse_evaluation(record: Record) -> Evaluation:
    """The evaluation in a mapping as `evaluation.json` has it.

    Raises:
        KeyError, TypeError, ValueError: the mapping is none.
    """
    tasks = record["tasks"]
    return Evaluation(
        protocol=dict(record["protocol"]),
        simulator=dict(record["simulator"]),
        step=int(record["checkpoint"]["step"]),
        tasks=tuple(task["name"] for task in tasks),
        episodes=tuple(int(task["episodes"]) for task in tasks),
        success_any=np.array([task["success_any"] for task in tasks], dtype=np.float64),
        success_final=np.array([task["success_final"] for task in tasks], dtype=np.float64),
        mean_return=np.array([task["mean_return"] for task in tasks], dtype=np.float64),
    )


def _name(config: Record) -> str:
    """The run's name, and whether an agent of its own learned each task."""
    kind = config.get("agent", {}).get("single_task", "none")
    label = {"none": "", "ours": " (single-task)"}.get(kind, f" (single-task, {kind})")
    return f"{config['name']}{label}"


def _is_run(path: Path) -> bool:
    return (path / "config.yaml").is_file()


def _seed(path: Path) -> tuple[int, str]:
    number = path.name.removeprefix("seed_")
    return (int(number) if number.isdecimal() else -1, path.name)


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


def read_records(text: str, path: Path, warn: Warn) -> Iterator[Record]:
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


def _curve(records: list[Record], key: str, tasks: tuple[str, ...]) -> Curve:
    rows = [[record[key][task] for task in tasks] for record in records]
    return Curve(
        steps=np.array([record["step"] for record in records], dtype=np.int64),
        success=np.array(rows, dtype=np.float64).reshape(len(records), len(tasks)),
    )


def reason_of(error: Exception) -> str:
    """Why a record is not as expected."""
    return f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
