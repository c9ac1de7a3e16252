"""Runs of reinforcement learning sorted: what cannot be compared stands apart, and that is said."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtrl.protocols import LEGACY, MODERN
from mtrl.report.measure import RETURN, Measure
from mtrl.report.runs import differences, grouped
from mtrl.report.success_runs import Evaluation, SuccessGroup, SuccessRun, read_measures
from mtrl.report.table import NOTHING
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
    measure: Measure

    @property
    def score(self) -> NDArray[np.float64]:
        """Success at some step of an episode, or what else is measured, `[R, T]`."""
        return np.array([getattr(result, self.measure.key) for result in self.results])

    @property
    def final_step(self) -> NDArray[np.float64]:
        """Success at the last step, `[R, T]`."""
        return np.array([result.success_final for result in self.results])

    @property
    def unseen(self) -> NDArray[np.float64]:
        """Success at some step on goals that training never saw, `[R, T]`; NaN where it was not measured."""
        return np.array([result.unseen_any for result in self.results])


@dataclass(frozen=True)
class Division:
    """What may stand in one table: the same tasks, protocol and simulator."""

    reference: Evaluation
    """One of its evaluations; the others were made alike."""
    scores: tuple[Scores, ...]
    measure: Measure


@dataclass(frozen=True)
class Part:
    """Runs of the same tasks, and one measure of them."""

    measure: Measure
    is_first: bool
    """Of these runs: what is said of runs and not of scores is said there."""
    tasks: tuple[str, ...]
    """That have the measure."""
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
    parts: dict[tuple[str, ...], list[tuple[SuccessRun, ...]]] = {}
    for folder in folders:
        try:
            measures = read_measures(folder, warn)
        except UserError as error:
            warn(f"left out: {error}")
            continue
        tasks = measures[0].outcome.all_tasks
        if parts and tasks not in parts:
            first = next(iter(parts.values()))[0][0]
            warn(f"{folder} has other tasks than {first.folder}: in a part of its own")
        parts.setdefault(tasks, []).append(measures)
    if not parts:
        raise UserError("no run is left to report")
    return tuple(part for runs in parts.values() for part in _parts(runs, warn))


def _parts(runs: Sequence[tuple[SuccessRun, ...]], warn: Warn) -> Iterator[Part]:
    """One for each measure of the same tasks."""
    alike: dict[tuple[str, ...], list[SuccessRun]] = {}
    for measures in runs:
        for run in measures:
            alike.setdefault(run.outcome.tasks, []).append(run)
    for number, own in enumerate(alike.values()):
        tell: Warn = warn if number == 0 else lambda line: None  # said of the same runs before
        for run in own:
            if not run.outcome.results:
                tell(f"{run.folder} has no evaluation{_progress(run)}: it is in the curves, not in the table")
            elif gap := _gap(run):
                tell(gap)
        measure, measured = _of_one_measure(own, warn)
        groups = grouped(measured, tell)
        divisions = tuple(_divisions(groups, measure, tell))
        yield Part(measure, number == 0, own[0].outcome.tasks, groups, divisions)


def _of_one_measure(runs: list[SuccessRun], warn: Warn) -> tuple[Measure, list[SuccessRun]]:
    """The measure that all of these have, and the runs with it: returns as they are unless all are normalized."""
    told = [run for run in runs if not run.outcome.is_empty] or runs
    odd = next((run for run in told if run.outcome.measure != told[0].outcome.measure), None)
    if odd is None:
        return told[0].outcome.measure, runs
    one = odd if odd.outcome.measure == RETURN else told[0]
    warn(f"{one.folder} has returns that are not normalized: those of all runs are shown as they are")
    return RETURN, [replace(run, outcome=run.outcome.as_returns()) for run in runs]


def _gap(run: SuccessRun) -> str | None:
    """What to say of a run whose evaluation is not of its end, or whose log is not; `legacy` is of all checkpoints."""
    last = next((result for result in run.outcome.results if result.protocol["name"] == MODERN), None)
    if last is None:
        return None
    if last.step < (end := max(run.done, _planned(run))):
        return f"{run.folder}: its evaluation is of step {last.step:,} of {end:,}"
    if last.step > run.done:
        ends = f"its log ends at step {run.done:,}, before its evaluation of step {last.step:,}"
        return f"{run.folder}: {ends}: areas under the curve are of the steps before, for all runs"
    return None


def _divisions(groups: Sequence[SuccessGroup], measure: Measure, warn: Warn) -> Iterator[Division]:
    """The evaluations that were made alike, those of most runs first; `legacy` comes last."""
    made: list[tuple[SuccessRun, Evaluation, dict[str, dict[int, tuple[SuccessRun, Evaluation]]]]] = []
    evaluated = [(run, result) for group in groups for run in group.runs for result in run.outcome.results]
    for run, result in evaluated:
        if result.tasks != run.outcome.tasks:
            warn(f"{run.folder}: its evaluation has other tasks, not counted")
            continue
        alike = next((each for each in made if not _different_protocol(each[1], result)), None)
        if alike is None:
            made.append(alike := (run, result, {}))
        alike[2].setdefault(run.name, {})[run.seed] = run, result
    made.sort(key=lambda each: (each[1].protocol["name"] == LEGACY, -sum(map(len, each[2].values()))))
    for line in dict.fromkeys(line for _, _, names in made for line in _unequal(names)):
        warn(line)
    for k, (run, reference, names) in enumerate(made):
        if k:
            apart = f"differs from that of {made[0][0].folder} in {_different_protocol(made[0][1], reference)}"
            warn(f"{run.folder}: its evaluation {apart}: in a table of its own")
        scores = (
            Scores(name, tuple(seeds), tuple(result for _, result in seeds.values()), measure)
            for name, seeds in names.items()
        )
        yield Division(reference, tuple(scores), measure)


def _unequal(columns: Mapping[str, Mapping[int, tuple[SuccessRun, Evaluation]]]) -> Iterator[str]:
    """In what the groups of one table were not trained alike though a method's name does not say so: a line each."""
    of_run: dict[str, Callable[[SuccessRun, Evaluation], str]] = {
        "training steps": lambda run, result: f"{result.step:,}",
        "precision": lambda run, result: str(run.config.get("training", {}).get("precision", NOTHING)),
    }
    for what, text in of_run.items():
        names: dict[str, list[str]] = {}
        for name, seeds in columns.items():
            names.setdefault(" and ".join(dict.fromkeys(text(*each) for each in seeds.values())), []).append(name)
        if len(names) > 1:
            yield f"unequal {what}: " + "; ".join(f"{value} of {', '.join(own)}" for value, own in names.items())


def _progress(run: SuccessRun) -> str:
    """How far a run is that has not ended."""
    planned = _planned(run)
    return f" (step {run.done:,} of {planned:,})" if run.done < planned else ""


def _planned(run: SuccessRun) -> int:
    """Steps that it is to train; 0 if that is not known."""
    planned = run.config.get("steps")
    return planned if isinstance(planned, int) else 0


def _different_protocol(one: Evaluation, other: Evaluation) -> str:
    pairs = [("protocol", one.protocol, other.protocol), ("simulator", one.simulator, other.simulator)]
    return ", ".join(f"{part}.{key}" for part, a, b in pairs for key in differences(a, b))
