"""Methods beside each other: the headline, success task by task, who beats whom, and who learns faster.

Axes: `R` seeds, `T` tasks.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mtrl.report.measure import SUCCESS
from mtrl.report.parts import Division, Part, Scores
from mtrl.report.power import detectable_difference, power_note
from mtrl.report.success_runs import Curve, SuccessGroup
from mtrl.report.success_table import BOOTSTRAP_SEED, SuccessTable, how_to_read, no_interval
from mtrl.report.table import Cell, Column, Table, count, rate
from mtrl.statistics import (
    MIN_RUNS_FOR_INTERVAL,
    Interval,
    area_under_curve,
    bootstrap_interval,
    compare_pairs,
    improvement_interval,
    mean,
    probability_of_improvement,
    steps_to_reach,
)

_LEVELS = (0.5, 0.8, 0.9)
_Sample = Mapping[int, NDArray[np.float64]]
"""The values of a method's seeds, `[T]` each."""


def headline(table: SuccessTable) -> Table:
    """A row per method, the best interquartile mean first."""
    interval, text = "95% interval", table.measure.text
    has_unseen = any(column.unseen for column in table.columns)
    final = [
        Column("final_iqm", "final-step IQM", text),
        Column("final_iqm", interval, text, is_interval=True),
    ]
    columns = [
        Column("run", "method"),
        Column("seeds", "seeds"),
        Column("iqm", "IQM", text),
        Column("iqm", interval, text, is_interval=True),
        Column("iqm_stratified", "95%, stratified", text, is_interval=True),
        Column("mean", "mean", text),
        Column("mean", interval, text, is_interval=True),
        Column("median", "median", text),
        *(final if table.measure == SUCCESS else []),
        *([Column("unseen_mean", "mean, unseen goals", text)] if has_unseen else []),
    ]
    rows = [
        (
            column.name,
            column.seeds,
            column.score.iqm.value,
            column.score.iqm.interval,
            column.score.iqm.stratified,
            column.score.mean.value,
            column.score.mean.interval,
            column.score.median.value,
            *((column.final_step.iqm.value, column.final_step.iqm.interval) if column.final_step else ()),
            *([column.unseen.mean.value if column.unseen else None] if has_unseen else []),
        )
        for column in sorted(table.columns, key=lambda c: -c.score.iqm.value)
    ]
    stratified = (
        "Stratified: seeds drawn for each task apart, as published (Agarwal et al. 2021), which takes the tasks of a "
        "run for independent. One network learns them all, so that a lucky seed may be lucky at many: that "
        "interval may be too narrow, and may be too wide."
    )
    return Table(
        "headline", "Every method", columns, rows, [table.caption, how_to_read(table.measure), stratified, *table.notes]
    )


def by_task(division: Division, key: str, title: str, values: Callable[[Scores], NDArray[np.float64]]) -> Table:
    """The heat map: tasks x methods, mean over seeds.

    Args:
        division: whose evaluations are meant.
        key: of the file.
        title: of the table.
        values: `[R, T]` of a group.
    """
    means = [values(scores).mean(axis=0) for scores in division.scores]
    text, is_shaded = division.measure.text, division.measure.is_share
    columns = [Column("task", "task"), *(Column(s.name, s.name, text, is_shaded=is_shaded) for s in division.scores)]
    rows: list[Sequence[Cell]] = [
        (task, *(float(m[i]) for m in means)) for i, task in enumerate(division.reference.tasks)
    ]
    rows.append(("mean", *(float(m.mean()) for m in means)))
    return Table(
        key, title, columns, rows, [f"Mean over seeds ({_seeds(division)}), each task's {_episodes(division)}."]
    )


def improvement(division: Division) -> Table:
    """How probably the method of a row beats that of a column."""
    columns = [Column("run", "beats"), *(Column(s.name, s.name, rate, is_shaded=True) for s in division.scores)]
    rows: list[Sequence[Cell]] = [
        (
            one.name,
            *(
                None if one is other else float(probability_of_improvement(one.score, other.score))
                for other in division.scores
            ),
        )
        for one in division.scores
    ]
    note = (
        f"How probably a run of the row's method has more {division.measure.label} on a task than one of the column's; "
        "mean over tasks, a draw counts half (Agarwal et al. 2021)."
    )
    return Table("improvement", "Probability of improvement", columns, rows, [note])


def pairs(division: Division) -> Table:
    """Every two methods' scores, over the seeds that both have."""
    samples = {scores.name: dict(zip(scores.seeds, scores.score, strict=True)) for scores in division.scores}
    label = division.measure.label.capitalize()
    return _pairs("pairs", "Two methods at a time", f"{label}, mean over tasks.", samples)


def pairs_of_areas(part: Part) -> Table:
    """Every two methods' areas under the training curve, over the seeds that both have and that got to its end."""
    since, until = _span(part)
    samples = {
        group.name: {
            run.seed: np.array([area])
            for run, area in zip(group.runs, _areas(group, since, until), strict=True)
            if not np.isnan(area)
        }
        for group in part.groups
    }
    what = f"Area under the curve of training {part.measure.name}, mean over tasks and steps {since:,} to {until:,}."
    return _pairs("pairs_area", "Two methods at a time: area under the curve", what, samples)


def learning(part: Part) -> Table:
    """How fast each method learned, on the training curves."""
    since, until = _span(part)
    columns = [
        Column("run", "method"),
        Column("seeds", "seeds"),
        Column("area", "area under curve", part.measure.text),
        Column("area", "95% interval", part.measure.text, is_interval=True),
    ]
    levels = _LEVELS if part.measure == SUCCESS else ()
    for level in levels:
        columns += [
            Column(f"steps_to_{level}", f"steps to {level}", count),
            Column(f"reached_{level}", f"seeds at {level}"),
        ]
    notes = [
        f"On the mean over tasks of training {part.measure.name}, of seeds that got to step {until:,}, the last that "
        f"all finished runs have. Area: mean of the curve from step {since:,} on, the first that all have."
        + " Steps to a level: the first logged, median over seeds; a seed that did not get there counts as later than "
        "all others." * bool(levels)
    ]
    rows = [_learned(group, since, until, levels) for group in part.groups]
    return Table("learning", "Speed of learning", columns, rows, notes)


def _pairs(key: str, title: str, what: str, samples: Mapping[str, _Sample]) -> Table:
    """The table of every two samples that are not empty; `what` their values are."""
    known = {name: sample for name, sample in samples.items() if sample}
    columns = [
        Column("run", "method"),
        Column("other", "against"),
        Column("improvement", "P(better)", rate),
        Column("improvement", "95% interval", rate, is_interval=True),
        Column("seeds", "common seeds"),
        Column("difference", "difference of means", _difference),
        Column("difference", "95% interval", _difference, is_interval=True),
        Column("detectable", "could show", _thousandths),
        Column("wins", "seeds better"),
        Column("losses", "seeds worse"),
        Column("p_value", "p", _thousandths),
    ]
    two = [*itertools.combinations(known, 2)]
    rows = [(one, other, *_pair(known[one], known[other])) for one, other in two]
    seeds = sorted({len(_common_seeds(known[one], known[other])) for one, other in two} - {0})
    notes = [
        f"{what} P(better): over all runs of both. The difference is paired over common seeds. Intervals draw seeds "
        "with all their tasks. p: sign-flip test, not corrected for the number of pairs.",
        f"Could show: {power_note(seeds)}",
        *no_interval({name: len(sample) for name, sample in known.items()}),
    ]
    return Table(key, title, columns, rows, notes)


def _pair(one: _Sample, other: _Sample) -> tuple[Cell, ...]:
    generator = np.random.default_rng(BOOTSTRAP_SEED)
    all_of_one, all_of_other = np.array([*one.values()]), np.array([*other.values()])
    better = float(probability_of_improvement(all_of_one, all_of_other))
    interval = None
    if min(len(one), len(other)) >= MIN_RUNS_FOR_INTERVAL:
        interval = improvement_interval(all_of_one, all_of_other, generator=generator, whole_runs=True)
    common = _common_seeds(one, other)
    if not common:
        return better, interval, 0, None, None, None, None, None, None
    a, b = (np.array([sample[seed] for seed in common]) for sample in (one, other))
    paired = compare_pairs(a, b, generator=generator)
    return (
        better,
        interval,
        len(common),
        paired.difference,
        _of_seeds(paired.differences, generator),
        detectable_difference(paired.differences),
        paired.wins,
        paired.losses,
        paired.p_value,
    )


def _common_seeds(one: _Sample, other: _Sample) -> list[int]:
    return sorted({*one} & {*other})


def _learned(group: SuccessGroup, since: int, until: int, levels: Sequence[float]) -> tuple[Cell, ...]:
    areas = _areas(group, since, until)
    got_there = ~np.isnan(areas)
    curves = [run.outcome.training for run, counts in zip(group.runs, got_there, strict=True) if counts]
    areas = areas[got_there]
    area = float(areas.mean()) if len(areas) else None
    interval = _of_seeds(areas, np.random.default_rng(BOOTSTRAP_SEED))
    return (group.name, len(areas), area, interval, *itertools.chain.from_iterable(_reached(curves, until, levels)))


def _span(part: Part) -> tuple[int, int]:
    """The steps between which all that are finished have curves; all, if none is."""
    runs = [run for group in part.groups for run in group.runs]
    until = min(run.done for run in [run for run in runs if run.outcome.results] or runs)
    known = [curve.steps[~np.isnan(curve.score).any(axis=1)] for curve in (run.outcome.training for run in runs)]
    return max((int(steps[0]) for steps in known if len(steps) and steps[0] < until <= steps[-1]), default=0), until


def _areas(group: SuccessGroup, since: int, until: int) -> NDArray[np.float64]:
    """The area under the curve of each run, `[R]`; NaN of one that did not get there."""
    curves = [run.outcome.training for run in group.runs]
    return np.array([area_under_curve(curve.steps, curve.score.mean(axis=1), until, since) for curve in curves])


def _reached(curves: Sequence[Curve], until: int, levels: Sequence[float]) -> Iterator[tuple[Cell, Cell]]:
    for level in levels:
        reached = [steps_to_reach(curve.steps, curve.score.mean(axis=1), level) for curve in curves]
        steps = [np.inf if step is None or step > until else step for step in reached]
        median = np.median(steps) if steps else np.inf
        yield round(float(median)) if np.isfinite(median) else None, f"{sum(np.isfinite(steps))} of {len(steps)}"


def _of_seeds(values: NDArray[np.float64], generator: np.random.Generator) -> Interval | None:
    """The interval of the mean of values `[R]`, one a seed; None for too few seeds."""
    if len(values) < MIN_RUNS_FOR_INTERVAL:
        return None
    return bootstrap_interval(values[:, None], mean, generator=generator)


def _difference(value: Cell) -> str:
    return f"{value:+.3f}"


def _thousandths(value: Cell) -> str:
    return f"{value:.3f}"


def _seeds(division: Division) -> str:
    return ", ".join(f"{scores.name}: {len(scores.seeds)}" for scores in division.scores)


def _episodes(division: Division) -> str:
    return f"{' or '.join(map(str, sorted(set(division.reference.episodes))))} episodes"
