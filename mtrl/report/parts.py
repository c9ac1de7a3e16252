"""Runs of reinforcement learning sorted: what cannot be compared stands apart, and that is said."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtrl.report.runs import differences, grouped
from mtrl.report.success_runs import Evaluation, SuccessGroup, SuccessRun, read_run
from mtrl.runs.errors import UserError
from mtrl.runs.reading import Warn


@dataclass(frozen=True)
class Scores:
    """The evaluations of a group under one protocol. Axes: `R` evaluated seeds, `T` tasks."""

    name: str
    seeds: tuple[int, ...]
    """`[R]`, sorted."""
    results: tuple[Evaluation, ...]
    """`[R]`"""

    @property
    def any_step(self) -> NDArray[np.float64]:
        """Success at some step of an episode, `[R, T]`."""
        return np.array([result.success_any for result in self.results])

    @property
    def final_step(self) -> NDArray[np.float64]:
        """Success at the last step, `[R, T]`."""
        return np.array([result.success_final for result in self.results])


@dataclass(frozen=True)
class Division:
    """What may stand in one table: the same tasks, protocol and simulator."""

    reference: Evaluation
    """One of its evaluations; the others were made alike."""
    scores: tuple[Scores, ...]


@dataclass(frozen=True)
class Part:
    """Runs of the same tasks."""

    tasks: tuple[str, ...]
    groups: tuple[SuccessGroup, ...]
    divisions: tuple[Division, ...]


def read_parts(folders: Iterable[Path], warn: Warn) -> tuple[Part, ...]:
    """Read runs, in the order given: a part for each set of tasks, and in it a division for each protocol.

    Args:
        folders: of the seeds.
        warn: is given a line for everything that is left out or stands apart.

    Raises:
        UserError: no run can be read, or two have the same name and seed.
    """
    parts: dict[tuple[str, ...], list[SuccessRun]] = {}
    for folder in folders:
        try:
            run = read_run(folder, warn)
        except UserError as error:
            warn(f"left out: {error}")
            continue
        if parts and run.outcome.tasks not in parts:
            first = next(iter(parts.values()))[0]
            warn(f"{folder} has other tasks than {first.folder}: in a part of its own")
        parts.setdefault(run.outcome.tasks, []).append(run)
    if not parts:
        raise UserError("no run is left to report")
    return tuple(_part(tasks, runs, warn) for tasks, runs in parts.items())


def _part(tasks: tuple[str, ...], runs: Sequence[SuccessRun], warn: Warn) -> Part:
    groups = grouped(runs, warn)
    for run in runs:
        if not run.outcome.results:
            warn(f"{run.folder} has no evaluation{_progress(run)}: it is in the curves, not in the table")
    return Part(tasks, groups, tuple(_divisions(groups, warn)))


def _divisions(groups: Sequence[SuccessGroup], warn: Warn) -> Iterator[Division]:
    """The evaluations that were made alike, as those that come first."""
    made: list[tuple[SuccessRun, Evaluation, dict[str, dict[int, Evaluation]]]] = []
    evaluated = [(run, result) for group in groups for run in group.runs for result in run.outcome.results]
    for run, result in evaluated:
        if result.tasks != run.outcome.tasks:
            warn(f"{run.folder}: its evaluation has other tasks, not counted")
            continue
        alike = next((each for each in made if not _different_protocol(each[1], result)), None)
        if alike is None:
            if made:
                apart = f"differs from that of {made[0][0].folder} in {_different_protocol(made[0][1], result)}"
                warn(f"{run.folder}: its evaluation {apart}: in a table of its own")
            made.append(alike := (run, result, {}))
        alike[2].setdefault(run.name, {})[run.seed] = result
    for _, reference, names in made:
        scores = (Scores(name, tuple(seeds), tuple(seeds.values())) for name, seeds in names.items())
        yield Division(reference, tuple(scores))


def _progress(run: SuccessRun) -> str:
    """How far a run is that has not ended."""
    planned = run.config.get("steps")
    return f" (step {run.done:,} of {planned:,})" if isinstance(planned, int) and run.done < planned else ""


def _different_protocol(one: Evaluation, other: Evaluation) -> str:
    pairs = [("protocol", one.protocol, other.protocol), ("simulator", one.simulator, other.simulator)]
    return ", ".join(f"{part}.{key}" for part, a, b in pairs for key in differences(a, b))
