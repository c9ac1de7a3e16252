"""Success over seeds and tasks, and how sure one may be of it; methods against single-task baselines and each other.

Scores are `[R, T]`: one run (seed) a row, one task a column. Statistics map `[..., R, T]` to `[...]`, so
that all bootstrap resamples are computed in one call.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "MIN_RUNS_FOR_INTERVAL",
    "Interval",
    "Summary",
    "bootstrap_interval",
    "delta_m",
    "delta_p",
    "iqm",
    "mean",
    "mean_rank",
    "summarize",
]

MIN_RUNS_FOR_INTERVAL = 3
"""Resampling one or two seeds says next to nothing about other seeds."""

Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True)
class Interval:
    """A confidence interval."""

    low: float
    high: float


@dataclass(frozen=True)
class Summary:
    """Scores of one group of runs."""

    per_task: NDArray[np.float64]
    """Mean over runs, `[T]`."""
    mean: float
    """Mean over runs and tasks."""
    iqm: float | None
    """Interquartile mean over runs and tasks; None for fewer than `MIN_RUNS_FOR_INTERVAL` runs."""
    interval: Interval | None
    """Of the mean; None for fewer than `MIN_RUNS_FOR_INTERVAL` runs."""
    runs: int
    """Number of runs."""


def mean(scores: ArrayLike) -> NDArray[np.float64]:
    """Mean over runs and tasks, `[..., R, T] -> [...]`."""
    return _checked(scores).mean(axis=(-2, -1))


def iqm(scores: ArrayLike) -> NDArray[np.float64]:
    """Interquartile mean (Agarwal et al. 2021): the mean of the middle half of all scores.

    A quarter of the `R * T` scores, rounded down, is cut from each end.

    Args:
        scores: `[..., R, T]`.

    Returns:
        `[...]`.
    """
    scores = _checked(scores)
    flat = np.sort(scores.reshape(*scores.shape[:-2], -1), axis=-1)
    cut = flat.shape[-1] // 4
    return flat[..., cut : flat.shape[-1] - cut].mean(axis=-1)


def bootstrap_interval(
    scores: ArrayLike,
    statistic: Statistic = mean,
    *,
    generator: np.random.Generator,
    resamples: int = 5000,
    level: float = 0.95,
) -> Interval:
    """Percentile bootstrap, stratified by task (Agarwal et al. 2021).

    Runs are drawn with replacement within each task apart: the tasks are fixed, the seeds are the sample.

    Args:
        scores: `[R, T]`.
        statistic: `[..., R, T] -> [...]`.
        generator: decides the resamples, and so the interval.
        resamples: number of resamples.
        level: probability that the interval is meant to cover, in (0, 1).

    Raises:
        ValueError: fewer than `MIN_RUNS_FOR_INTERVAL` runs, or `level` or `resamples` out of range.
    """
    scores = _checked(scores)
    if scores.ndim != 2:
        raise ValueError(f"bootstrap_interval needs scores [runs, tasks], got {scores.ndim} axes")
    runs, tasks = scores.shape
    if runs < MIN_RUNS_FOR_INTERVAL:
        raise ValueError(f"bootstrap_interval needs at least {MIN_RUNS_FOR_INTERVAL} runs, got {runs}")
    if not 0 < level < 1:
        raise ValueError(f"bootstrap_interval needs 0 < level < 1, got level={level}")
    if resamples < 1:
        raise ValueError(f"bootstrap_interval needs resamples >= 1, got resamples={resamples}")
    drawn = generator.integers(runs, size=(resamples, runs, tasks))
    values = statistic(scores[drawn, np.arange(tasks)])
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def summarize(scores: ArrayLike, *, generator: np.random.Generator) -> Summary:
    """Aggregate the scores of one group, `[R, T]`; with too few runs there is no IQM and no interval."""
    scores = _checked(scores)
    runs = scores.shape[0]
    enough = runs >= MIN_RUNS_FOR_INTERVAL
    return Summary(
        per_task=scores.mean(axis=0),
        mean=float(mean(scores)),
        iqm=float(iqm(scores)) if enough else None,
        interval=bootstrap_interval(scores, generator=generator) if enough else None,
        runs=runs,
    )


def delta_m(values: ArrayLike, baselines: ArrayLike, higher_is_better: ArrayLike) -> NDArray[np.float64]:
    """Relative loss of performance against single-task baselines in per cent, lower is better (Maninis et al. 2019).

        100 mean_k (-1)^{d_k} (M_k - B_k) / B_k,  d_k = 1 where higher is better

    The mean is over metrics `k`, not over tasks, as in Nash-MTL's tables (Navon et al. 2022).

    Args:
        values: `M`, `[..., K]`.
        baselines: `B`, `[K]`.
        higher_is_better: `[K]`, bool.

    Returns:
        `[...]`.

    Raises:
        ValueError: a baseline is zero, or something is not finite.
    """
    return 100 * _relative_losses(values, baselines, higher_is_better).mean(axis=-1)


def delta_p(
    values: ArrayLike, baselines: ArrayLike, higher_is_better: ArrayLike, tasks: Sequence[str]
) -> NDArray[np.float64]:
    """LibMTL's relative gain in per cent, higher is better: averaged within each task first, then over tasks.

    Not to be mixed with `delta_m`: the sign is the opposite, and with several metrics per task the size differs too.

    Args:
        values: `[..., K]`.
        baselines: `[K]`.
        higher_is_better: `[K]`, bool.
        tasks: of each metric, `[K]`.

    Returns:
        `[...]`.

    Raises:
        ValueError: as for `delta_m`.
    """
    losses = _relative_losses(values, baselines, higher_is_better)
    of_task = [losses[..., np.array([other == task for other in tasks])].mean(axis=-1) for task in dict.fromkeys(tasks)]
    return np.asarray(-100 * np.mean(of_task, axis=0))


def mean_rank(values: ArrayLike, higher_is_better: ArrayLike) -> NDArray[np.float64]:
    """Mean over metrics of each method's rank, 1 the best; methods with equal values share the average of their ranks.

    Args:
        values: of the methods, `[N, K]`.
        higher_is_better: `[K]`, bool.

    Returns:
        `[N]`.
    """
    costs = np.where(higher_is_better, -1.0, 1.0) * _checked(values)
    better = (costs[None] < costs[:, None]).sum(axis=1)
    equal = (costs[None] == costs[:, None]).sum(axis=1)
    return np.asarray((better + (equal + 1) / 2).mean(axis=-1))


def _relative_losses(values: ArrayLike, baselines: ArrayLike, higher_is_better: ArrayLike) -> NDArray[np.float64]:
    """`[..., K]`, positive where a value is worse than its baseline."""
    values, baselines = np.asarray(values, dtype=np.float64), np.asarray(baselines, dtype=np.float64)
    if not (np.isfinite(values).all() and np.isfinite(baselines).all()):
        raise ValueError("metrics and baselines need to be finite")
    if (baselines == 0).any():
        raise ValueError("baselines need to differ from zero: the loss is relative to them")
    return np.where(higher_is_better, -1.0, 1.0) * (values - baselines) / baselines


def _checked(scores: ArrayLike) -> NDArray[np.float64]:
    """Scores as float64, `[..., R, T]`."""
    array = np.asarray(scores, dtype=np.float64)
    if array.ndim < 2 or array.shape[-2] == 0 or array.shape[-1] == 0:
        raise ValueError(f"scores need shape [..., runs, tasks] with one of each at least, got {array.shape}")
    if np.isnan(array).any():
        raise ValueError("scores need a number for every run and task, got NaN")
    return array
