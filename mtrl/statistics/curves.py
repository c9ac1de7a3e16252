"""Curves: how fast something was learned, and how many scores lie above each threshold.

Axes: `N` points of a learning curve; `R` runs, `T` tasks, `K` thresholds of a profile.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtrl.statistics.aggregates import checked, equal


def area_under_curve(steps: ArrayLike, values: ArrayLike, until: float, since: float = 0) -> float:
    """Mean of the curve between two steps, by trapezoids; the first value holds before its step.

    Args:
        steps: `[N]`, increasing.
        values: `[N]`; points that are NaN are left out.
        until: where the mean ends; the same for all that is compared.
        since: where it begins, likewise. Curves that begin at different steps are compared from the latest of these on:
            what holds before a first value is not known.

    Returns:
        NaN if the curve has no point, or ends before `until`: what it would have done is not known.
    """
    at, height = np.asarray(steps, dtype=np.float64), np.asarray(values, dtype=np.float64)
    known = ~np.isnan(height)
    at, height = at[known], height[known]
    if len(at) == 0 or at[-1] < until or until <= since:
        return float("nan")
    grid = np.concatenate([[since], at[(at > since) & (at < until)], [until]])
    return float(np.trapezoid(np.interp(grid, at, height), grid) / (until - since))


def steps_to_reach(steps: ArrayLike, values: ArrayLike, threshold: float) -> int | None:
    """The first step logged with this value or more, but for rounding; None if there is none.

    Args:
        steps: `[N]`, increasing.
        values: `[N]`; NaN reaches nothing.
        threshold: that is to be reached.

    Examples:
        >>> steps_to_reach([100, 200, 300], [0.2, 0.6, 0.9], 0.5)
        200
    """
    values = np.asarray(values, dtype=np.float64)
    reached = np.flatnonzero((values >= threshold) | equal(values, threshold))
    return int(np.asarray(steps)[reached[0]]) if len(reached) else None


def performance_profile(scores: ArrayLike, thresholds: ArrayLike) -> NDArray[np.float64]:
    """Share of all scores above each threshold (Agarwal et al. 2021, "run-score distribution").

    Args:
        scores: `[..., R, T]`.
        thresholds: `[K]`.

    Returns:
        `[..., K]`.
    """
    scores = checked(scores)
    return np.stack([(scores > threshold).mean(axis=(-2, -1)) for threshold in np.asarray(thresholds)], axis=-1)
