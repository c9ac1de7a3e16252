"""One method against another. Axes: `R` runs, `T` tasks."""

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtrl.statistics.aggregates import ROUNDING, checked, equal

_EXACT_UP_TO = 12  # runs: 4096 patterns of signs
_SAMPLED = 10_000


@dataclass(frozen=True)
class PairedComparison:
    """Two methods over the same seeds; differences are of the mean over tasks, and those of rounding alone are 0."""

    differences: NDArray[np.float64]
    """Of each seed, the first method's score less the second's, `[R]`."""
    difference: float
    """Their mean."""
    wins: int
    """Seeds in which the first is better."""
    losses: int
    runs: int
    p_value: float
    """Two-sided, of the sign-flip test: how often so large a difference comes up if the methods are alike."""


def probability_of_improvement(scores: ArrayLike, others: ArrayLike) -> NDArray[np.float64]:
    """How probably a run of the first method beats one of the second on a task, mean over tasks (Agarwal et al. 2021).

    A draw counts half: it is the Mann-Whitney statistic over the number of pairs. Scores that differ by rounding alone
    are a draw.

    Args:
        scores: `[..., R, T]`.
        others: `[..., R', T]`.

    Returns:
        `[...]`.

    Raises:
        ValueError: the tasks differ in number.
    """
    scores, others = checked(scores), checked(others)
    if scores.shape[-1] != others.shape[-1]:
        raise ValueError(f"the methods need the same tasks, got {scores.shape[-1]} and {others.shape[-1]}")
    one, other = scores[..., :, None, :], others[..., None, :, :]
    drawn = equal(one, other)
    return np.asarray((((one > other) & ~drawn) + 0.5 * drawn).mean(axis=(-3, -2, -1)))


def compare_pairs(scores: ArrayLike, others: ArrayLike, *, generator: np.random.Generator) -> PairedComparison:
    """Compare two methods seed by seed: what a seed decides for both is taken out.

    Args:
        scores: `[R, T]`.
        others: `[R, T]`, of the same seeds and tasks in the same order.
        generator: draws the signs where there are too many patterns to go through.

    Raises:
        ValueError: the shapes differ.
    """
    scores, others = checked(scores), checked(others)
    if scores.shape != others.shape:
        raise ValueError(f"pairs need the same runs and tasks, got {scores.shape} and {others.shape}")
    within = ROUNDING * max(np.abs(scores).max(), np.abs(others).max())
    differences = (scores - others).mean(axis=-1)
    differences[np.abs(differences) <= within] = 0.0
    runs, difference = len(differences), float(differences.mean())
    if runs <= _EXACT_UP_TO:
        signs = np.array([*itertools.product((1, -1), repeat=runs)])
    else:
        signs = generator.choice((1, -1), size=(_SAMPLED, runs))
        signs[0] = 1  # what was seen is one of the patterns
    flipped = np.abs(signs @ differences)
    seen = np.abs(differences.sum())
    return PairedComparison(
        differences=differences,
        difference=difference if abs(difference) > within else 0.0,
        wins=int((differences > 0).sum()),
        losses=int((differences < 0).sum()),
        runs=runs,
        p_value=float((flipped >= seen - runs * within).mean()),
    )
