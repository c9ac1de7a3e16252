"""Batched products of small vectors and matrices, and the scaling that every solver starts with.

Scalars of a batch keep a last axis of length one, `[..., 1]`, so that they broadcast against `[..., T]`.
"""

import torch
from torch import Tensor


def multiply(matrix: Tensor, vector: Tensor) -> Tensor:
    """`[..., T, T]` times `[..., T]`."""
    return (matrix @ vector.unsqueeze(-1)).squeeze(-1)


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Inner product over the last axis, `[..., 1]`."""
    return (a * b).sum(-1, keepdim=True)


def bilinear(a: Tensor, matrix: Tensor, b: Tensor) -> Tensor:
    """`a^T M b`, `[..., 1]`."""
    return dot(a, multiply(matrix, b))


def lengths(gram: Tensor) -> tuple[Tensor, Tensor]:
    """Gradient norms with 1 in place of 0, and which are not zero, both `[..., T]`."""
    square = gram.diagonal(dim1=-2, dim2=-1)
    live = square != 0
    return torch.where(live, square, 1.0).sqrt(), live


def unit_diagonal(gram: Tensor, norms: Tensor) -> Tensor:
    """The Gram matrix of the gradients divided by `norms`."""
    return gram / norms.unsqueeze(-1) / norms.unsqueeze(-2)
