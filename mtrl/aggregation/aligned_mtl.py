"""Aligned-MTL: the gradients turned orthogonal and brought to one length."""

from collections.abc import Sequence
from typing import Literal, get_args

from torch import Tensor

from mtrl.aggregation.method import Method
from mtrl.aggregation.solvers.linear_algebra import lengths, library, unit_diagonal
from mtrl.aggregation.solvers.per_task import checked_preference, per_task
from mtrl.aggregation.solvers.pseudo_inverse import above_rounding, eigen
from mtrl.aggregation.solvers.solver_op import solver

Scale = Literal["min", "median", "rmse"]


class AlignedMTL(Method):
    """Independent Component Alignment for Multi-Task Learning (Senushkin et al. 2023), algorithm 1: `w = B p`.

    `B = sigma M^(-1/2)`, a pseudo-inverse, makes the Gram matrix `M` into `B M B = sigma^2 I` on its range: the nearest
    matrix of gradients whose condition number is one. The preference `p` then weighs the aligned gradients.

    Convention: the mean of the aligned gradients; `|d| = sigma / sqrt(T)` if `M` has full rank. The authors' code takes
    the sum. A task with a zero gradient has weight 0.

    The rank is that of the unit-diagonal matrix, so that a task with small gradients counts as one.
    `torch.linalg.eigh` synchronises on CUDA.

    Args:
        scale: `sigma^2`: the smallest eigenvalue of `M` that is not zero (the paper's), the (lower) median of those, or
            their mean (the authors' code has all three).
        preference: one number >= 0 per task, used as given; None for `1/T`.
    """

    def __init__(self, scale: Scale = "min", preference: Sequence[float] | None = None) -> None:
        super().__init__()
        if scale not in get_args(Scale):
            raise ValueError(f"AlignedMTL needs a scale of {list(get_args(Scale))}, got scale={scale!r}")
        self.scale = scale
        self.preference = checked_preference("AlignedMTL", preference)

    def weigh(self, gram: Tensor, losses: Tensor | None, eps: float) -> Tensor:
        p = per_task("AlignedMTL", "preference", self.preference, 1 / gram.shape[-1], gram[..., 0])
        return aligned_weights(gram, p, self.scale, eps)


@solver
def aligned_weights(gram: Tensor, preference: Tensor, scale: str, eps: float) -> Tensor:
    """`B p`, `[..., T]`.

    Args:
        gram: `[..., T, T]`, float64.
        preference: `p`, `[..., T]`.
        scale: as AlignedMTL's.
        eps: relative rounding of the entries of `gram`.
    """
    xp = library(gram)
    T = gram.shape[-1]
    norms, live = lengths(gram)
    top = xp.amax(norms * live, -1)[..., None]
    values, vectors = eigen(unit_diagonal(gram, xp.where(top > 0, top, 1.0)))
    rank = above_rounding(eigen(unit_diagonal(gram, norms))[0], eps).sum(-1)[..., None]
    place = xp.arange(T, device=gram.device)
    kept = (place >= T - rank) & (values > 0)
    if scale == "rmse":
        square = (kept * values).sum(-1)[..., None] / xp.where(rank > 0, rank, 1)
    else:
        chosen = place == T - rank + (0 if scale == "min" else (rank - 1) // 2)
        square = (kept * chosen * values).sum(-1)[..., None]
    parts = kept * (vectors * preference[..., None]).sum(-2) / xp.sqrt(xp.where(kept, values, 1.0))
    return live * xp.sqrt(square) * (vectors * parts[..., None, :]).sum(-1)
