"""A run of reinforcement learning, read: its success or returns in training, and its evaluations.

Axes: N logged points, T tasks. Steps are environment steps summed over tasks.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtrl.protocols import EVALUATION_FILES
from mtrl.report.made_with import made_with
from mtrl.report.measure import NORMALIZED, RETURN, SUCCESS, Measure
from mtrl.report.runs import Group, Run, read_seed
from mtrl.runs.reading import (
    Record,
    RunFiles,
    Warn,
    as_written,
    read_evaluation_record,
    read_own_evaluation_record,
    read_run_files,
)


@dataclass(frozen=True)
class Curve:
    """Scores over training: any-step success, or returns."""

    steps: NDArray[np.int64]
    """`[N]`, increasing."""
    score: NDArray[np.float64]
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
    """Share of the episodes with success at some step, `[T]`; NaN of a task that tells of none."""
    success_final: NDArray[np.float64]
    """Share of the episodes with success at the last step, `[T]`; likewise."""
    unseen_any: NDArray[np.float64]
    """`success_any` on goals that training never saw, `[T]`; NaN of a task that was not played on such."""
    mean_return: NDArray[np.float64]
    """Undiscounted, `[T]`."""
    normalized_return: NDArray[np.float64]
    """0 for random actions and 1 for a good agent, `[T]`; NaN of a task with success, or without such references."""

    def only(self, tasks: tuple[str, ...]) -> "Evaluation":
        """The part of this evaluation that is of some tasks; all of it, if it lacks one of them."""
        if not set(tasks) <= set(self.tasks):
            return self
        places = [self.tasks.index(task) for task in tasks]
        arrays = ("success_any", "success_final", "unseen_any", "mean_return", "normalized_return")
        own = {name: getattr(self, name)[places] for name in arrays}
        return replace(self, tasks=tasks, episodes=tuple(self.episodes[place] for place in places), **own)


@dataclass(frozen=True)
class Success:
    """What a run of reinforcement learning reached on the tasks of one measure: in training, and in evaluations."""

    measure: Measure
    tasks: tuple[str, ...]
    all_tasks: tuple[str, ...]
    """Of the run, those of another measure among them."""
    horizon: int | str
    """Of the training episodes; in words where tasks have their own."""
    evaluation_horizon: int | str
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
    plain: tuple[Curve, Curve] | None = None
    """`training` and `evaluations` as returns, where they are normalized."""

    @property
    def is_empty(self) -> bool:
        """Whether there is no score yet."""
        return not (len(self.training.steps) or len(self.evaluations.steps) or self.results)

    def as_returns(self) -> "Success":
        """With returns as they are where they are normalized."""
        if self.plain is None:
            return self
        training, evaluations = self.plain
        return replace(self, measure=RETURN, training=training, evaluations=evaluations, plain=None)


SuccessRun = Run[Success]
SuccessGroup = Group[Success]


def read_measures(folder: Path, warn: Warn) -> tuple[SuccessRun, ...]:
    """Read one run folder; a run still going, or one without an evaluation, is read as far as it goes.

    Args:
        folder: the seed's folder.
        warn: is given a line for everything that had to be dropped.

    Returns:
        The run with its success, and with the returns of tasks that tell of none: two if it has tasks of both kinds.

    Raises:
        UserError: a file is missing or is not what a run writes.
    """
    evaluations_there = [path for name in EVALUATION_FILES.values() if (path := folder / name).exists()]
    files = read_run_files(folder, warn)
    with as_written(folder):
        start, made = files.start, made_with(files.starts)
        read = [read_own_evaluation(path, start["seed"], warn) for path in evaluations_there]
        results = tuple(evaluation for evaluation in read if evaluation is not None)
        versions = {**made["versions"], **made["simulator"]["versions"]}
        found = []
        for measure, tasks in _measures(files, results).items():
            told = tuple(result for result in results if _tells(result, measure, tasks))
            if len(told) < len(results):
                warn(f"{folder}: its evaluation has no success of tasks that told of it in training: left out")
            success = _success(files, made, measure, tasks, told, tuple(sorted(folder.glob("videos/**/*.mp4"))))
            found.append(read_seed(folder, files, made, success, versions, tuple(start["tasks"]), "step"))
        return tuple(found)


def _measures(files: RunFiles, results: Sequence[Evaluation]) -> dict[Measure, tuple[str, ...]]:
    """The tasks that have a measure, by it. Returns are normalized if all are, in training and in evaluations."""
    start = files.start
    others = tuple(start.get("returns_only", ()))
    events: tuple[Record, ...] = (*files.train, *files.evaluations)
    shares = [event.get("normalized_return", {}) for event in events]
    played = [result.only(others).normalized_return for result in results]
    are_normalized = all(set(others) <= set(own) for own in shares) and not any(np.isnan(own).any() for own in played)
    measure = NORMALIZED if (shares or played) and are_normalized else RETURN
    tasks = {SUCCESS: tuple(task for task in start["tasks"] if task not in others), measure: others}
    return {measure: own for measure, own in tasks.items() if own}


def _tells(result: Evaluation, measure: Measure, tasks: tuple[str, ...]) -> bool:
    """Whether an evaluation has the measure of all these tasks."""
    return measure != SUCCESS or not bool(np.isnan(result.only(tasks).success_any).any())


def _success(
    files: RunFiles,
    made: Record,
    measure: Measure,
    tasks: tuple[str, ...],
    results: tuple["Evaluation", ...],
    videos: tuple[Path, ...],
) -> Success:
    config, start, train = files.config, files.start, files.train

    def curves(measure: Measure) -> tuple[Curve, Curve]:
        return _curve(train, measure.trained, tasks), _curve(files.evaluations, measure.evaluated, tasks)

    training, evaluations = curves(measure)
    return Success(
        measure=measure,
        tasks=tasks,
        all_tasks=tuple(start["tasks"]),
        horizon=_horizon(config["env"]["horizon"]),
        evaluation_horizon=_horizon(config["evaluation"]["horizon"]),
        backend=str(made["simulator"]["backend"]),
        training=training,
        evaluations=evaluations,
        updates=int(train[-1]["updates"]) if train else 0,
        results=tuple(result.only(tasks) for result in results),
        videos=videos,
        plain=curves(RETURN) if measure == NORMALIZED else None,
    )


def _horizon(value: object) -> int | str:
    return "of each task's own" if value is None else int(str(value))


def read_evaluation(path: Path) -> Evaluation:
    """Read an `evaluation.json`.

    Raises:
        UserError: it is missing or is not what a run writes.
    """
    record = read_evaluation_record(path)
    with as_written(path):
        return parse_evaluation(record)


def read_own_evaluation(path: Path, seed: int, warn: Warn) -> Evaluation | None:
    """Read the `evaluation.json` of a run with this seed; None, and a warning, if it is of another.

    Raises:
        UserError: it is missing or is not what a run writes.
    """
    record = read_own_evaluation_record(path, seed, warn)
    with as_written(path):
        return None if record is None else parse_evaluation(record)


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
        success_any=_of_tasks(tasks, "success_any"),
        success_final=_of_tasks(tasks, "success_final"),
        unseen_any=_of_tasks(tasks, "success_any_unseen"),
        mean_return=np.array([task["mean_return"] for task in tasks], dtype=np.float64),
        normalized_return=_of_tasks(tasks, "normalized_return"),
    )


def _of_tasks(rows: Sequence[Record], key: str) -> NDArray[np.float64]:
    """`[T]`; NaN of a task that has no such value."""
    return np.array([row.get(key, np.nan) for row in rows], dtype=np.float64)


def _curve(records: Sequence[Record], key: str, tasks: tuple[str, ...]) -> Curve:
    rows = [[record[key][task] for task in tasks] for record in records]
    return Curve(
        steps=np.array([record["step"] for record in records], dtype=np.int64),
        score=np.array(rows, dtype=np.float64).reshape(len(records), len(tasks)),
    )
