"""A guess for all of many quadratic programs that share a matrix: where their solutions are positive."""

from typing import Any

import numpy as np

from mtrl.aggregation.solvers.linear_algebra import identity

ITERATIONS = 40
"""At most: of 500 unknowns they cost what two or three exact guesses of each program do."""
RELAXATION = 1.6
CROWDED = 0.9
"""A larger share of positive entries says that the iterations did not get far."""


def likely_supports(matrix: Any, linear: Any) -> Any:
    """Guesses where the minimisers of `1/2 y^T H y - h^T y` over `y >= 0` are positive.

    By the alternating direction method of multipliers (Boyd et al. 2011, section 5.2): one inverse serves all programs
    and all iterations, and each is one product of matrices, in float32. It takes the largest eigenvalues in its stride,
    which a projected gradient would crawl along. Where the matrix is nearly singular it does not get far, and nearly
    every entry stays positive; then the guess is `h > 0`.

    Args:
        matrix: `H`, `[T, T]`, symmetric, positive semidefinite, with entries of order one, as an array.
        linear: `h`, `[K, T]`.

    Returns:
        `[K, T]`, bool.
    """
    inverse = np.linalg.inv(matrix + identity(matrix[0])).astype(np.float32)
    free = linear.astype(np.float32) @ inverse
    y, multiplier = np.maximum(free, 0), np.zeros_like(free)
    support = y > 0
    for _ in range(ITERATIONS):
        before = support
        unbounded = RELAXATION * (free + (y - multiplier) @ inverse) + (1 - RELAXATION) * y + multiplier
        y = np.maximum(unbounded, 0)
        multiplier = unbounded - y
        support = y > 0
        if (support == before).all():
            break
    return np.where(support.mean(-1)[:, None] > CROWDED, linear > 0, support)
