"""Eigenvalues and pseudo-inverses of positive semidefinite matrices, rank-deficient ones included.

All take tensors or numpy arrays.
"""

from torch import Tensor

from mtrl.aggregation.solvers.linear_algebra import library


def eigen(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues in ascending order, `[..., T]`, and eigenvectors in columns, `[..., T, T]`.

    A matrix with a NaN or an infinity, which `eigh` would refuse, counts as zero. `eigh` synchronises on CUDA.
    """
    xp = library(matrix)
    finite = xp.isfinite(matrix).all(-1).all(-1)[..., None, None]
    values, vectors = xp.linalg.eigh(xp.where(finite, matrix, 0.0))
    return values, vectors


def above_rounding(values: Tensor, eps: float) -> Tensor:
    """Which eigenvalues, ascending, are not zero up to the rounding of their matrix, `T eps` of the largest."""
    return values > values.shape[-1] * eps * values[..., -1:]


def pseudo_solve(matrix: Tensor, rhs: Tensor, eps: float) -> Tensor:
    """The shortest `x` that minimises `|A x - b|`.

    Args:
        matrix: `A`, `[..., T, T]`, positive semidefinite, scaled to entries of order one.
        rhs: `b`, `[..., T]`.
        eps: relative rounding of the entries of `A`.

    Returns:
        `A^+ b`, `[..., T]`.
    """
    values, vectors = eigen(matrix)
    kept = above_rounding(values, eps)
    parts = kept * (vectors * rhs[..., None]).sum(-2) / library(rhs).where(kept, values, 1.0)
    return (vectors * parts[..., None, :]).sum(-1)
