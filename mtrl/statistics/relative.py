"""Methods against single-task baselines, and against each other, over metrics of different kinds. Axis: `K` metrics."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtrl.statistics.aggregates import checked, equal


def delta_m(values: ArrayLike, baselines: ArrayLike, higher_is_better: ArrayLike) -> NDArray[np.float64]:
    """Relative loss of performance against single-task baselines in per cent, lower is better (Maninis et al. 2019).

        100 mean_k (-1)^{d_k} (M_k - B_k) / |B_k|,  d_k = 1 where higher is better

    The mean is over metrics `k`, not over tasks, as in Nash-MTL's tables (Navon et al. 2022). Paper: divided by `B_k`,
    whose baselines are positive; here by its size, because a gain on a negative one is a gain.

    Args:
        values: `M`, `[..., K]`.
        baselines: `B`, `[K]`.
        higher_is_better: `[K]`, bool.

    Returns:
        `[...]`.

    Raises:
        ValueError: a baseline is zero, or something is not finite.

    Examples:
        An error of 1.1 against 1.0, an accuracy of 0.72 against 0.80: both are a tenth worse.

        >>> round(float(delta_m([1.1, 0.72], [1.0, 0.80], [False, True])), 6)
        10.0
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

    Values are equal if rounding alone, as of a mean over seeds in another order, keeps them apart.

    Args:
        values: of the methods, `[N, K]`.
        higher_is_better: `[K]`, bool.

    Returns:
        `[N]`.
    """
    costs = np.where(higher_is_better, -1.0, 1.0) * checked(values)
    drawn = equal(costs[None], costs[:, None])  # [N, N, K]
    better = ((costs[None] < costs[:, None]) & ~drawn).sum(axis=1)
    return np.asarray((better + (drawn.sum(axis=1) + 1) / 2).mean(axis=-1))


def _relative_losses(values: ArrayLike, baselines: ArrayLike, higher_is_better: ArrayLike) -> NDArray[np.float64]:
    """`[..., K]`, positive where a value is worse than its baseline."""
    values, baselines = np.asarray(values, dtype=np.float64), np.asarray(baselines, dtype=np.float64)
    if not (np.isfinite(values).all() and np.isfinite(baselines).all()):
        raise ValueError("metrics and baselines need to be finite")
    if (baselines == 0).any():
        raise ValueError("baselines need to differ from zero: the loss is relative to them")
    return np.where(higher_is_better, -1.0, 1.0) * (values - baselines) / np.abs(baselines)
