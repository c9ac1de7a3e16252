"""Runs of one name are a group of seeds; what cannot be compared stands apart, and that is said."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from mtrl.nested import flat
from mtrl.report.runs import Evaluation, Run, read_run
from mtrl.runs.errors import UserError
from mtrl.runs.reading import Record, Warn

OWN_TO_A_SEED = ("seeds", "out", "device", "track", "data", "threads")


@dataclass(frozen=True)
class Group:
    """The seeds of one configuration."""

    name: str
    runs: tuple[Run, ...]
    """Sorted by seed."""


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
class Section:
    """What may stand in one table: the same tasks, protocol and simulator."""

    reference: Evaluation
    """One of its evaluations; the others were made alike."""
    scores: tuple[Scores, ...]


@dataclass(frozen=True)
class Part:
    """Runs of the same tasks."""

    tasks: tuple[str, ...]
    groups: tuple[Group, ...]
    sections: tuple[Section, ...]


def read_parts(folders: Iterable[Path], warn: Warn) -> tuple[Part, ...]:
    """Read runs, in the order given: a part for each set of tasks, and in it a section for each protocol.

    Args:
        folders: of the seeds.
        warn: is given a line for everything that is left out or stands apart.

    Raises:
        UserError: no run can be read, or two have the same name and seed.
    """
    parts: dict[tuple[str, ...], list[Run]] = {}
    for folder in folders:
        try:
            run = read_run(folder, warn)
        except UserError as error:
            warn(f"left out: {error}")
            continue
        if parts and run.tasks not in parts:
            first = next(iter(parts.values()))[0]
            warn(f"{folder} has other tasks than {first.folder}: in a part of its own")
        parts.setdefault(run.tasks, []).append(run)
    if not parts:
        raise UserError("no run is left to report")
    return tuple(_part(tasks, runs, warn) for tasks, runs in parts.items())


def _part(tasks: tuple[str, ...], runs: Sequence[Run], warn: Warn) -> Part:
    groups = tuple(Group(name, seeds) for name, seeds in by_name(runs, warn).items())
    for run in runs:
        if not run.results:
            warn(f"{run.folder} has no evaluation{_progress(run)}: it is in the curves, not in the table")
    return Part(tasks, groups, tuple(_sections(groups, warn)))


def _sections(groups: Sequence[Group], warn: Warn) -> Iterator[Section]:
    """The evaluations that were made alike, as those that come first."""
    made: list[tuple[Run, Evaluation, dict[str, dict[int, Evaluation]]]] = []
    evaluated = [(run, result) for group in groups for run in group.runs for result in run.results]
    for run, result in evaluated:
        if result.tasks != run.tasks:
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
        yield Section(reference, tuple(scores))


def _progress(run: Run) -> str:
    """How far a run is that has not ended."""
    planned = run.config.get("steps")
    return f" (step {run.steps:,} of {planned:,})" if isinstance(planned, int) and run.steps < planned else ""


class Seed(Protocol):
    """What runs are grouped by."""

    @property
    def folder(self) -> Path: ...
    @property
    def name(self) -> str: ...
    @property
    def seed(self) -> int: ...
    @property
    def config(self) -> Record: ...


S = TypeVar("S", bound=Seed)


def by_name(runs: Iterable[S], warn: Warn) -> dict[str, tuple[S, ...]]:
    """The runs of each name, sorted by seed; seeds with other settings than the first are pointed out.

    Raises:
        UserError: two have the same name and seed.
    """
    members: dict[str, dict[int, S]] = {}
    for run in runs:
        seeds = members.setdefault(run.name, {})
        if run.seed in seeds:
            twice = f"{seeds[run.seed].folder} and {run.folder}"
            raise UserError(f"seed {run.seed} of {run.name} is there twice: {twice}")
        seeds[run.seed] = run
        first = next(iter(seeds.values()))
        if different := differences(first.config, run.config):
            warn(f"{run.folder} differs from {first.folder} in {', '.join(different)}")
    return {name: tuple(seeds[k] for k in sorted(seeds)) for name, seeds in members.items()}


def _different_protocol(one: Evaluation, other: Evaluation) -> str:
    pairs = [("protocol", one.protocol, other.protocol), ("simulator", one.simulator, other.simulator)]
    return ", ".join(f"{part}.{key}" for part, a, b in pairs for key in differences(a, b))


def differences(one: Record, other: Record) -> list[str]:
    """Keys whose values differ, dotted, apart from those that are a seed's own."""
    mine, theirs = (flat({k: v for k, v in record.items() if k not in OWN_TO_A_SEED}) for record in (one, other))
    return [key for key in sorted(mine.keys() | theirs.keys()) if mine.get(key) != theirs.get(key)]
