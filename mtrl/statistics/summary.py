"""The scores of one group of runs. Axes: `R` runs, `T` tasks."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtrl.statistics.aggregates import checked, iqm, mean, median
from mtrl.statistics.bootstrap import MIN_RUNS_FOR_INTERVAL, Interval, Statistic, bootstrap_interval


@dataclass(frozen=True)
class Estimate:
    """A statistic; there are no intervals for fewer than `MIN_RUNS_FOR_INTERVAL` runs."""

    value: float
    interval: Interval | None
    """95%, of whole runs: one network learns all tasks, so that a good seed may be good at many."""
    stratified: Interval | None
    """95%, stratified by task, as published."""


@dataclass(frozen=True)
class Summary:
    """Scores of one group of runs."""

    per_task: NDArray[np.float64]
    """Mean over runs, `[T]`."""
    mean: Estimate
    """Over runs and tasks."""
    median: Estimate
    """Over tasks, of the mean over runs."""
    iqm: Estimate
    """Over runs and tasks."""
    runs: int
    """Number of runs."""


def summarize(scores: ArrayLike, *, generator: np.random.Generator) -> Summary:
    """Aggregate the scores of one group, `[R, T]`."""
    scores = checked(scores)

    def estimate(statistic: Statistic) -> Estimate:
        value = float(statistic(scores))
        if len(scores) < MIN_RUNS_FOR_INTERVAL:
            return Estimate(value, None, None)
        whole, by_task = (
            bootstrap_interval(scores, statistic, generator=generator, whole_runs=each) for each in (True, False)
        )
        return Estimate(value, whole, by_task)

    return Summary(scores.mean(axis=0), estimate(mean), estimate(median), estimate(iqm), len(scores))
