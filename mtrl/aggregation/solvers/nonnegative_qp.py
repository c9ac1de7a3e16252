"""Minimise `1/2 y^T H y - h^T y` over `y >= 0`: the support guessed on the host, an interior-point method elsewhere."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtrl.aggregation.solvers.interior_point import interior_point
from mtrl.aggregation.solvers.likely_supports import likely_supports
from mtrl.aggregation.solvers.linear_algebra import identity, multiply, solve

GUESSES = 12
"""Two to four supports are tried unless the matrix is singular or nearly so."""
TOLERANCE = 1e-13
"""A guess counts if slack and complementarity are right to this; the data are of order one."""
LARGE = 64
"""More unknowns than this: one program after the other, and equations off the support are left out."""
CACHE = 2**16
"""Numbers that are worked on at a time: half a megabyte."""


def nonnegative_qp(matrix: Any, linear: Any) -> Any:
    """Minimisers of `K` strictly convex programs; where the matrix is singular, one of each.

    Args:
        matrix: `H`, `[..., T, T]`, symmetric, positive semidefinite, scaled to entries of order one; as a numpy array
            `[B, T, T]`.
        linear: `h`, `[..., K, T]`, of order one; the problem must be bounded.

    Returns:
        `y`, `[..., K, T]`; entries not in the support are zero or tiny.
    """
    if isinstance(linear, Tensor):
        return interior_point(matrix.unsqueeze(-3), linear)
    if not (linear > 0).any():
        return np.zeros_like(linear)
    B, K, T = linear.shape
    if T > LARGE:
        return np.stack([_large(matrix[b], linear[b]) for b in range(B)])
    rows = max(1, CACHE // (T * T))
    if B == 1 or rows < K:  # programs that share a matrix
        parts = [_certified(matrix[b : b + 1], linear[b, i : i + rows]) for b in range(B) for i in range(0, K, rows)]
    else:
        blocks = [slice(b, b + rows // K) for b in range(0, B, rows // K)]
        parts = [_certified(matrix[b].repeat(K, 0), linear[b].reshape(-1, T)) for b in blocks]
    return (parts[0] if len(parts) == 1 else np.concatenate(parts)).reshape(B, K, T)


def _certified(matrix: Any, linear: Any) -> Any:
    """`[N or 1, T, T]`, `[N, T]` to `[N, T]`: guesses that are right, and the interior-point method for the rest."""
    y = _pivot(matrix, linear, linear > 0, GUESSES)
    left = ~_sure(matrix, linear, y)
    if left.any():
        y[left] = _interior_point(_rows(matrix, left), linear[left])
    return y


def _large(matrix: Any, linear: Any) -> Any:
    """As `_certified`, for `K` large programs that share a matrix: `[T, T]`, `[K, T]` to `[K, T]`."""
    starts = likely_supports(matrix, linear) if len(linear) > 1 else linear > 0
    y = np.stack([_pivot_large(matrix, one, start) for one, start in zip(linear, starts, strict=True)])
    for k in (~_sure(matrix[None], linear, y)).nonzero()[0]:
        y[k] = _interior_point(matrix[None], linear[k : k + 1])[0]
    return y


def _sure(matrix: Any, linear: Any, y: Any) -> Any:
    """Which solutions are right."""
    return _violation(matrix, linear, y) <= 2 * TOLERANCE


def _violation(matrix: Any, linear: Any, y: Any) -> Any:
    """How far each program's solution is from the conditions of optimality: the largest violation."""
    slack = multiply(matrix, y) - linear
    return np.maximum(-slack, y * slack).max(-1)


def _interior_point(matrix: Any, linear: Any) -> Any:
    """Solutions by the interior-point method; where rounding stopped it short, by pivoting from its support."""
    y = interior_point(torch.from_numpy(matrix), torch.from_numpy(linear)).numpy()
    left = ~_sure(matrix, linear, y)
    if left.any():
        matrix, linear, short = _rows(matrix, left), linear[left], y[left]
        pivoted = _pivot(matrix, linear, short > multiply(matrix, short) - linear, GUESSES)
        better = _violation(matrix, linear, pivoted) < _violation(matrix, linear, short)
        y[left] = np.where(better[:, None], pivoted, short)
    return y


def _rows(matrix: Any, chosen: Any) -> Any:
    """The chosen matrices of `[N, T, T]`, or the one that all programs share, `[1, T, T]`."""
    return matrix if len(matrix) == 1 else matrix[chosen]


def _pivot(matrix: Any, linear: Any, support: Any, guesses: int) -> Any:
    """Block principal pivoting (Judice and Pires 1994): the equations of a guessed support, then flip what is negative.

    `H y - s = h` with `y = 0` off the support and `s = 0` on it is one linear system for what is left of both.
    """
    system = np.where(support[:, None, :], matrix, -identity(linear))
    mixed = solve(system, linear[..., None])[..., 0]
    y = np.maximum(support * mixed, 0.0)
    wrong = mixed < -TOLERANCE
    if guesses == 1 or not wrong.any():
        return y
    support = support ^ wrong
    again = wrong.any(-1)
    if again.all():
        return _pivot(matrix, linear, support, guesses - 1)
    y[again] = _pivot(_rows(matrix, again), linear[again], support[again], guesses - 1)
    return y


def _pivot_large(matrix: Any, linear: Any, support: Any) -> Any:
    """As `_pivot`, for one large program, `[T, T]` and `[T]`: by the support's equations alone, a tenth of the work."""
    for _ in range(GUESSES):
        inside = support.nonzero()[0]
        y = np.zeros_like(linear)
        system, right = matrix.take(inside, 0).take(inside, 1), linear[inside, None]
        factor = torch.linalg.cholesky_ex(torch.from_numpy(system)).L  # half the work of `solve`
        y[inside] = torch.cholesky_solve(torch.from_numpy(right), factor).numpy()[:, 0]
        wrong = np.where(support, y, matrix @ y - linear) < -TOLERANCE
        if not wrong.any():
            break
        support = support ^ wrong
    return np.maximum(y, 0.0)
