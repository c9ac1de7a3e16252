"""A run of reinforcement learning, read: its success in training, and its evaluations.

Axes: N logged points, T tasks. Steps are environment steps summed over tasks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtrl.protocols import EVALUATION_FILES
from mtrl.report.runs import Group, Run, read_seed
from mtrl.runs.reading import Record, Warn, as_written, read_evaluation_record, read_run_files


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
class Success:
    """What a run of reinforcement learning reached: its success in training, and its evaluations."""

    tasks: tuple[str, ...]
    horizon: int
    """Of the training episodes."""
    evaluation_horizon: int
    backend: str
    """Simulator of the training."""
    training: Curve
    """Of the stochastic policy's recent episodes at the training horizon."""
    evaluations: Curve
    """Of the deterministic policy, during training."""
    updates: int
    """Made so far."""
    results: tuple[Evaluation, ...]
    """One a protocol; `modern` first."""
    videos: tuple[Path, ...]


SuccessRun = Run[Success]
SuccessGroup = Group[Success]


def read_run(folder: Path, warn: Warn) -> SuccessRun:
    """Read one run folder; a run still going, or one without an evaluation, is read as far as it goes.

    Args:
        folder: the seed's folder.
        warn: is given a line for everything that had to be dropped.

    Raises:
        UserError: a file is missing or is not what a run writes.
    """
    evaluations_there = [path for name in EVALUATION_FILES.values() if (path := folder / name).exists()]
    files = read_run_files(folder, warn)
    with as_written(folder):
        config, start, train = files.config, files.start, files.train
        tasks = tuple(start["tasks"])
        success = Success(
            tasks=tasks,
            horizon=int(config["env"]["horizon"]),
            evaluation_horizon=int(config["evaluation"]["horizon"]),
            backend=str(start["simulator"]["backend"]),
            training=_curve(train, "success", tasks),
            evaluations=_curve(files.evaluations, "success_any", tasks),
            updates=int(train[-1]["updates"]) if train else 0,
            results=tuple(read_evaluation(path) for path in evaluations_there),
            videos=tuple(sorted(folder.glob("videos/**/*.mp4"))),
        )
        versions = {**start["versions"], **start["simulator"]["versions"]}
        return read_seed(folder, files, success, versions, tasks, "step")


def read_evaluation(path: Path) -> Evaluation:
    """Read an `evaluation.json`.

    Raises:
        UserError: it is missing or is not what a run writes.
    """
    record = read_evaluation_record(path)
    with as_written(path):
        return parse_evaluation(record)


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


def _curve(records: Sequence[Record], key: str, tasks: tuple[str, ...]) -> Curve:
    rows = [[record[key][task] for task in tasks] for record in records]
    return Curve(
        steps=np.array([record["step"] for record in records], dtype=np.int64),
        success=np.array(rows, dtype=np.float64).reshape(len(records), len(tasks)),
    )
