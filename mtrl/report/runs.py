"""Runs as reports know them, whatever was trained; runs of one name are a group of seeds."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from mtrl.nested import flat
from mtrl.report.history import Counted, History, read_history
from mtrl.runs.errors import UserError
from mtrl.runs.reading import SINGLE_TASK, Record, RunFiles, Warn

OWN_TO_A_SEED = ("seeds", "out", "device", "track", "data", "threads")
"""Settings that the seeds of a group need not share."""

Outcome = TypeVar("Outcome")
"""`Success` of a run of reinforcement learning, `Metrics` of a supervised one."""


@dataclass(frozen=True)
class Run(Generic[Outcome]):
    """A run of one seed, as its folder tells it."""

    folder: Path
    seed: int
    config: Record
    device: str
    hardware: str
    git_commit: str | None
    versions: Record
    """Of packages."""
    done: int
    """Steps trained so far; epochs of a supervised run."""
    wall_s: float
    history: History
    """What its `train` events say of gradients, weights and time."""
    outcome: Outcome

    @property
    def method(self) -> str:
        """The name of the aggregation method."""
        return str(self.config["method"]["name"])

    @property
    def is_single_task(self) -> bool:
        """Whether a model of its own learned each task: their gradients never meet."""
        return self._single_task_agent != "none" or self.config.get("method", {}).get("name") == SINGLE_TASK

    @property
    def name(self) -> str:
        """The run's, labelled if an agent of its own learned each task."""
        kind = self._single_task_agent
        label = {"none": "", "ours": " (single-task)"}.get(kind, f" (single-task, {kind})")
        return f"{self.config['name']}{label}"

    @property
    def _single_task_agent(self) -> str:
        return str(self.config.get("agent", {}).get("single_task", "none"))


@dataclass(frozen=True)
class Group(Generic[Outcome]):
    """The seeds of one configuration."""

    name: str
    runs: tuple[Run[Outcome], ...]
    """Sorted by seed."""

    @property
    def histories(self) -> tuple[History, ...]:
        """The histories of the runs, in their order."""
        return tuple(run.history for run in self.runs)

    @property
    def method(self) -> str:
        """The name of the aggregation method."""
        return self.runs[0].method

    @property
    def is_single_task(self) -> bool:
        """Whether a model of its own learned each task."""
        return self.runs[0].is_single_task


def read_seed(
    folder: Path,
    files: RunFiles,
    made: Record,
    outcome: Outcome,
    versions: Record,
    tasks: tuple[str, ...],
    counted: Counted,
) -> Run[Outcome]:
    """The run of one seed, with an outcome that was read before.

    Args:
        folder: of the seed.
        files: what it holds.
        made: with what, see `made_with`.
        outcome: see `Run`.
        versions: of packages.
        tasks: names, of the history.
        counted: by a `train` event.

    Raises:
        KeyError, TypeError, ValueError: a file is not as a run writes it.
    """
    train = files.train
    return Run(
        folder=folder,
        seed=int(files.start["seed"]),
        config=files.config,
        device=str(made["device"]),
        hardware=str(made["hardware"]),
        git_commit=made["git_commit"],
        versions=versions,
        done=int(train[-1][counted]) if train else 0,
        wall_s=float(train[-1]["wall_s"]) if train else 0.0,
        history=read_history(train, tasks, counted),
        outcome=outcome,
    )


def grouped(runs: Iterable[Run[Outcome]], warn: Warn) -> tuple[Group[Outcome], ...]:
    """A group for each name, in the order given; seeds with other settings than the first are pointed out.

    Raises:
        UserError: two runs have the same name and seed.
    """
    members: dict[str, dict[int, Run[Outcome]]] = {}
    for run in runs:
        seeds = members.setdefault(run.name, {})
        if run.seed in seeds:
            twice = f"{seeds[run.seed].folder} and {run.folder}"
            raise UserError(f"seed {run.seed} of {run.name} is there twice: {twice}")
        seeds[run.seed] = run
        first = next(iter(seeds.values()))
        if different := differences(first.config, run.config):
            warn(f"{run.folder} differs from {first.folder} in {', '.join(different)}")
    return tuple(Group(name, tuple(seeds[k] for k in sorted(seeds))) for name, seeds in members.items())


def differences(one: Record, other: Record) -> list[str]:
    """Keys whose values differ, dotted, apart from those that are a seed's own."""
    mine, theirs = (flat({k: v for k, v in record.items() if k not in OWN_TO_A_SEED}) for record in (one, other))
    return [key for key in sorted(mine.keys() | theirs.keys()) if mine.get(key) != theirs.get(key)]
