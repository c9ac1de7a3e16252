"""Batched products of small vectors and matrices, and the scaling that every solver starts with.

All take tensors or numpy arrays. Scalars of a batch keep a last axis of length one, `[..., 1]`, so that they broadcast
against `[..., T]`.
"""

from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

EPS = torch.finfo(torch.float64).eps


def library(x: Tensor) -> Any:
    """The library whose functions take `x`: torch, or numpy for an array."""
    return torch if isinstance(x, Tensor) else np


def known(condition: Tensor) -> bool:
    """Whether a condition is seen to hold everywhere: never on a device, where looking would be a synchronisation."""
    return (not isinstance(condition, Tensor) or condition.device.type == "cpu") and bool(condition.all())


def multiply(matrix: Tensor, vector: Tensor) -> Tensor:
    """The matrix `[..., T, T]` times the vector `[..., T]`."""
    return (matrix @ vector[..., None])[..., 0]


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Inner product over the last axis, `[..., 1]`."""
    return (a * b).sum(-1)[..., None]


def bilinear(a: Tensor, matrix: Tensor, b: Tensor) -> Tensor:
    """`a^T M b`, `[..., 1]`."""
    return dot(a, multiply(matrix, b))


def take(values: Any, index: Any) -> Any:
    """`values[..., i, index[..., i, k]]`, in the shape of the index; one row of values will do for all `i`."""
    if isinstance(values, Tensor):
        return torch.take_along_dim(values, index, -1)
    return values[np.arange(len(values))[:, None, None], np.arange(values.shape[1])[:, None], index]


def put(values: Any, index: Any) -> Any:
    """The inverse of `take` for an index that is a permutation: `result[..., index[..., k]] = values[..., k]`."""
    if isinstance(values, Tensor):
        return torch.zeros_like(values).scatter(-1, index, values)
    result = np.zeros_like(values)
    np.put_along_axis(result, index, values, -1)
    return result


def add_rows(total: Any, factors: Any, matrix: Any, rows: Any) -> Any:
    """`total_i + factors_i matrix[rows_i]`, `[..., T, T]`; arrays, which come with one leading axis, in place."""
    if isinstance(total, Tensor):
        return total + factors[..., None] * torch.take_along_dim(matrix, rows[..., None], -2)
    hit = factors.nonzero()
    total[hit] += factors[hit][:, None] * matrix[hit[0], rows[hit]]
    return total


def identity(vector: Tensor) -> Tensor:
    """The identity `[T, T]` for vectors `[..., T]`, in their dtype and on their device."""
    T = vector.shape[-1]
    return torch.eye(T, dtype=vector.dtype, device=vector.device) if isinstance(vector, Tensor) else _identity(T)


@cache
def _identity(T: int) -> Any:
    eye = np.eye(T)
    eye.flags.writeable = False
    return eye


def solve(matrix: Any, right: Any) -> Any:
    """`[..., T, T]` into `[..., T, K]`; not finite where the matrix is singular."""
    if isinstance(matrix, Tensor):
        return torch.linalg.solve_ex(matrix, right).result
    try:
        return np.linalg.solve(matrix, right)
    except np.linalg.LinAlgError:  # one of them is
        return np.full_like(right, np.nan) if matrix.ndim == 2 else np.stack(list(map(solve, matrix, right)))


def lengths(gram: Tensor) -> tuple[Tensor, Tensor]:
    """Gradient norms with 1 in place of 0, and which are not zero, both `[..., T]`."""
    square = gram.diagonal(0, -2, -1)
    live = square != 0
    xp = library(gram)
    return xp.sqrt(xp.where(live, square, 1.0)), live


def unit_diagonal(gram: Tensor, norms: Tensor) -> Tensor:
    """The Gram matrix of the gradients divided by `norms`."""
    return gram / norms[..., None] / norms[..., None, :]


def definite(gram: Any, eps: float) -> Any:
    """The Gram matrix next to the given one that no rounding makes indefinite.

    Symmetric, with a diagonal that is longer by `4 T eps`, as much as rounding may take off an eigenvalue of the
    cosines; a matrix that is definite by more than that gets `T` roundings of float64 alone. So a quadratic program on
    it is bounded, in its value and in its solution, and a support can hold duplicates.

    Args:
        gram: `[..., T, T]`, float64.
        eps: relative rounding of its entries.
    """
    T = gram.shape[-1]
    both = gram + gram.swapaxes(-1, -2)
    eye = identity(gram[..., 0])
    if eps <= EPS:
        return both * (0.5 + T * EPS / 2 * eye)
    xp = library(gram)
    norms, live = lengths(gram)
    least = unit_diagonal(both / 2, norms) + xp.where(live, -4 * T * eps, 1.0)[..., None] * eye
    broken = torch.linalg.cholesky_ex(least if isinstance(gram, Tensor) else torch.from_numpy(least)).info
    rough = broken if isinstance(gram, Tensor) else broken.numpy()
    return both * (0.5 + xp.where(rough != 0, 2 * T * eps, T * EPS / 2)[..., None, None] * eye)
