"""Runs of one name are a group of seeds; what cannot be compared is left out, and said."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeVar

from mtrl.report.runs import Evaluation, Record, ReportError, Run, Warn, find_runs, read_run

_OWN_TO_A_SEED = ("seeds", "out", "device", "track", "data", "threads")


@dataclass(frozen=True)
class Group:
    """The seeds of one configuration."""

    name: str
    runs: tuple[Run, ...]
    """Sorted by seed."""

    @property
    def results(self) -> tuple[Evaluation, ...]:
        """The evaluations there are."""
        return tuple(run.result for run in self.runs if run.result is not None)


def read_groups(paths: Iterable[Path], warn: Warn) -> tuple[Group, ...]:
    """Read all runs behind `paths`, in the order given.

    The first run decides the tasks, and the first evaluation the protocol and the simulator: a run with other
    tasks is left out, an evaluation under another protocol is not counted.

    Args:
        paths: run folders, or folders of some.
        warn: is given a line for everything left out.

    Raises:
        ReportError: no run can be read, or two have the same name and seed.
    """
    runs: list[Run] = []
    for folder in find_runs(paths):
        try:
            run = read_run(folder, warn)
        except ReportError as error:
            warn(f"left out: {error}")
            continue
        if runs and run.tasks != runs[0].tasks:
            warn(f"left out: {folder} has other tasks than {runs[0].folder}")
        else:
            runs.append(run)
    if not runs:
        raise ReportError("no run is left to report")
    return tuple(Group(name, seeds) for name, seeds in by_name(_comparable(runs, warn), warn).items())


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
        ReportError: two have the same name and seed.
    """
    members: dict[str, dict[int, S]] = {}
    for run in runs:
        seeds = members.setdefault(run.name, {})
        if run.seed in seeds:
            twice = f"{seeds[run.seed].folder} and {run.folder}"
            raise ReportError(f"seed {run.seed} of {run.name} is there twice: {twice}")
        seeds[run.seed] = run
        first = next(iter(seeds.values()))
        if different := differences(first.config, run.config):
            warn(f"{run.folder} differs from {first.folder} in {', '.join(different)}")
    return {name: tuple(seeds[k] for k in sorted(seeds)) for name, seeds in members.items()}


def _comparable(runs: list[Run], warn: Warn) -> list[Run]:
    """The same runs; an evaluation that differs from the first in how it was made is taken away."""
    reference: Run | None = None
    kept = []
    for run in runs:
        result = run.result
        if result is None:
            warn(f"{run.folder} has no evaluation: it is in the curves, not in the table")
        elif result.tasks != run.tasks:
            warn(f"{run.folder}: its evaluation has other tasks, not counted")
            result = None
        elif reference is None or reference.result is None:
            reference = run
        elif different := _different_protocol(reference.result, result):
            other = f"that of {reference.folder}"
            warn(f"{run.folder}: its evaluation differs from {other} in {different}, not counted")
            result = None
        kept.append(replace(run, result=result))
    return kept


def _different_protocol(one: Evaluation, other: Evaluation) -> str:
    pairs = [("protocol", one.protocol, other.protocol), ("simulator", one.simulator, other.simulator)]
    return ", ".join(f"{part}.{key}" for part, a, b in pairs for key in differences(a, b))


def differences(one: Record, other: Record) -> list[str]:
    """Keys whose values differ, apart from those that are a seed's own."""
    keys = sorted((one.keys() | other.keys()) - set(_OWN_TO_A_SEED))
    return [key for key in keys if one.get(key) != other.get(key)]
