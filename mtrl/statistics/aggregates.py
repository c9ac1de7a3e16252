"""One number of the scores of all runs and tasks. Axes: `R` runs, `T` tasks; leading ones are written `...`."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

ROUNDING = 1e-12
"""Of a number's size: what differs by less differs by the order of a sum, which changes a thousandth of it."""


def mean(scores: ArrayLike) -> NDArray[np.float64]:
    """Mean over runs and tasks, `[..., R, T] -> [...]`."""
    return checked(scores).mean(axis=(-2, -1))


def median(scores: ArrayLike) -> NDArray[np.float64]:
    """Median over tasks of the mean over runs (Agarwal et al. 2021), `[..., R, T] -> [...]`."""
    return np.asarray(np.median(checked(scores).mean(axis=-2), axis=-1))


def iqm(scores: ArrayLike) -> NDArray[np.float64]:
    """Interquartile mean (Agarwal et al. 2021): the mean of the middle half of all scores.

    A quarter of the `R * T` scores, rounded down, is cut from each end.

    Args:
        scores: `[..., R, T]`.

    Returns:
        `[...]`.

    Examples:
        >>> float(iqm([[0.0, 0.5, 0.7, 1.0]]))  # one run, four tasks: the lowest and the highest are cut
        0.6
    """
    scores = checked(scores)
    flat = np.sort(scores.reshape(*scores.shape[:-2], -1), axis=-1)
    cut = flat.shape[-1] // 4
    return flat[..., cut : flat.shape[-1] - cut].mean(axis=-1)


def equal(one: ArrayLike, other: ArrayLike) -> NDArray[np.bool_]:
    """Whether numbers are equal, but for what a sum in another order may change."""
    return np.asarray(np.isclose(one, other, rtol=ROUNDING, atol=0.0))


def checked(scores: ArrayLike) -> NDArray[np.float64]:
    """Scores as float64, `[..., R, T]`.

    Raises:
        ValueError: there is no run or no task, or a score is NaN.
    """
    array = np.asarray(scores, dtype=np.float64)
    if array.ndim < 2 or array.shape[-2] == 0 or array.shape[-1] == 0:
        raise ValueError(f"scores need shape [..., runs, tasks] with one of each at least, got {array.shape}")
    if np.isnan(array).any():
        raise ValueError("scores need a number for every run and task, got NaN")
    return array
