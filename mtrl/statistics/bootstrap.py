"""Percentile bootstrap intervals (Agarwal et al. 2021). Axes: `B` resamples, `R` runs, `T` tasks, `N` points."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtrl.statistics.aggregates import checked, mean
from mtrl.statistics.comparison import probability_of_improvement

MIN_RUNS_FOR_INTERVAL = 3
"""Resampling one or two seeds says next to nothing about other seeds."""

Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]
_ELEMENTS_AT_ONCE = 4_000_000  # 32 MB


@dataclass(frozen=True)
class Interval:
    """A confidence interval: its two ends."""

    low: float
    high: float


@dataclass(frozen=True)
class Band:
    """Confidence intervals of `N` points, each by itself."""

    low: NDArray[np.float64]
    """`[N]`."""
    high: NDArray[np.float64]
    """`[N]`."""


def bootstrap_interval(
    scores: ArrayLike,
    statistic: Statistic = mean,
    *,
    generator: np.random.Generator,
    resamples: int = 5000,
    level: float = 0.95,
    whole_runs: bool = False,
) -> Interval:
    """The bootstrap interval of a statistic of runs and tasks.

    Stratified by task, as published: runs are drawn with replacement within each task apart, since the tasks are fixed
    and the seeds are the sample. That takes the tasks of a run for independent. Where one network learns them all, a
    good seed may be good at many; then `whole_runs` is the honest choice: it draws runs with all their tasks.

    Args:
        scores: `[R, T]`.
        statistic: `[..., R, T] -> [...]`.
        generator: decides the resamples, and so the interval.
        resamples: number of resamples.
        level: probability that the interval is meant to cover, in (0, 1).
        whole_runs: draw runs, not runs of each task.

    Raises:
        ValueError: fewer than `MIN_RUNS_FOR_INTERVAL` runs, or `level` or `resamples` out of range.
    """
    scores = checked(scores)
    if scores.ndim != 2:
        raise ValueError(f"bootstrap_interval needs scores [runs, tasks], got {scores.ndim} axes")
    band = bootstrap_band(
        scores[None], statistic, generator=generator, resamples=resamples, level=level, whole_runs=whole_runs
    )
    return Interval(float(band.low[0]), float(band.high[0]))


def bootstrap_band(
    scores: ArrayLike,
    statistic: Statistic = mean,
    *,
    generator: np.random.Generator,
    resamples: int = 1000,
    level: float = 0.95,
    whole_runs: bool = False,
) -> Band:
    """The intervals of a statistic at every point of a curve; a resample draws the same runs at all points.

    Scores are `[N, R, T]`; the other arguments are those of `bootstrap_interval`.

    Raises:
        ValueError: as for `bootstrap_interval`.
    """
    scores = checked(scores)
    if scores.ndim != 3:
        raise ValueError(f"bootstrap_band needs scores [points, runs, tasks], got {scores.ndim} axes")
    points, runs, tasks = scores.shape
    _check(runs, resamples, level)
    drawn = _draws(generator, resamples, runs, 1 if whole_runs else tasks)
    columns = np.arange(tasks)
    step = max(1, _ELEMENTS_AT_ONCE // (resamples * runs * tasks))
    values = [
        statistic(scores[first : first + step][:, drawn, columns])  # [step, B, R, T] -> [step, B]
        for first in range(0, points, step)
    ]
    low, high = _quantiles(np.concatenate(values), level)
    return Band(low, high)


def improvement_interval(
    scores: ArrayLike,
    others: ArrayLike,
    *,
    generator: np.random.Generator,
    resamples: int = 2000,
    level: float = 0.95,
    whole_runs: bool = False,
) -> Interval:
    """The bootstrap interval of `probability_of_improvement`; each method's runs are drawn apart.

    Scores are `[R, T]`; the other arguments are those of `bootstrap_interval`.

    Raises:
        ValueError: as for `bootstrap_interval`.
    """
    samples = []
    for array in (checked(scores), checked(others)):
        _check(array.shape[0], resamples, level)
        drawn = _draws(generator, resamples, array.shape[0], 1 if whole_runs else array.shape[1])
        samples.append(array[drawn, np.arange(array.shape[1])])
    low, high = _quantiles(probability_of_improvement(*samples), level)
    return Interval(float(low), float(high))


def _draws(generator: np.random.Generator, resamples: int, runs: int, tasks: int) -> NDArray[np.int64]:
    return generator.integers(runs, size=(resamples, runs, tasks))


def _quantiles(values: NDArray[np.float64], level: float) -> NDArray[np.float64]:
    """Low and high ends, `[..., B] -> [2, ...]`."""
    return np.asarray(np.quantile(values, [(1 - level) / 2, (1 + level) / 2], axis=-1))


def _check(runs: int, resamples: int, level: float) -> None:
    if runs < MIN_RUNS_FOR_INTERVAL:
        raise ValueError(f"an interval needs at least {MIN_RUNS_FOR_INTERVAL} runs, got {runs}")
    if not 0 < level < 1:
        raise ValueError(f"an interval needs 0 < level < 1, got level={level}")
    if resamples < 1:
        raise ValueError(f"an interval needs resamples >= 1, got resamples={resamples}")
