"""Projection on the dual cone of the gradients: the nearest update that conflicts with no task."""

import torch
from torch import Tensor

from mtrl.aggregation.solvers.linear_algebra import EPS, definite, identity, lengths, library, unit_diagonal
from mtrl.aggregation.solvers.nonnegative_qp import nonnegative_qp
from mtrl.aggregation.solvers.solver_op import note, solver


@solver
def dual_cone_projection(gram: Tensor, coefficients: Tensor, eps: float = EPS, worst: Tensor | None = None) -> Tensor:
    """Project each `p_k = sum_i U_ki g_i` on `{d : <g_i, d> >= 0 for all i}`.

    By duality (Lopez-Paz and Ranzato 2017, eq. 11; Quinton and Rey 2024, proposition 1) the projection is
    `sum_i w_i g_i` with `w` minimising `w^T G w` over `w >= u`. In unit gradients, with `|p_k| = 1`, the unknown
    `y_i = (w_i - u_i) |g_i|` minimises `1/2 y^T C y + <y, C u>` over `y >= 0`. All of it is solved for
    `definite(gram, eps)`, which keeps `y` bounded where the gradients cancel.

    Args:
        gram: `[..., T, T]`, float64.
        coefficients: `U`, `[..., K, T]`, float64.
        eps: relative rounding of the entries of `gram`.
        worst: raised to the largest violation of the conditions, as in `dual_cone_residual`.

    Returns:
        `W`, `[..., K, T]`; `w_i = u_i` for a zero gradient.
    """
    xp = library(gram)
    gram = definite(gram, eps)
    norms, live = lengths(gram)
    C = unit_diagonal(gram, norms) + xp.where(live, 0.0, 1.0)[..., None] * identity(norms)
    slopes = coefficients @ gram  # <g_i, p_k>
    size = xp.sqrt(abs((slopes * coefficients).sum(-1)))[..., None]
    linear = slopes / norms[..., None, :] / xp.where(size > 0, -size, -1.0)
    y = nonnegative_qp(C, linear)
    slack = y @ C - linear
    note(worst, xp.maximum(-slack, y * slack))
    return coefficients + live[..., None, :] * (size * y / norms[..., None, :])


def dual_cone_residual(gram: Tensor, coefficients: Tensor, weights: Tensor, eps: float = EPS) -> Tensor:
    """Largest violation of `w >= u`, `G w >= 0`, `(w_i - u_i) (G w)_i = 0` over the vectors, `[...]`.

    `G = definite(gram, eps)`. Relative to the lengths of the gradient and of the vector `p_k`; where that vanishes up
    to rounding, to `sum_i |u_i| |g_i|` instead.
    """
    gram = definite(gram, eps)
    norms, _ = lengths(gram)
    norms = norms.unsqueeze(-2)
    slopes = coefficients @ gram
    square = (slopes * coefficients).sum(-1, keepdim=True)
    total = (coefficients.abs() * norms).sum(-1, keepdim=True) ** 2
    rounding = 4 * gram.shape[-1] * EPS * total
    size = torch.where(square > rounding, square, torch.where(total > 0, total, 1.0)).sqrt()
    steps = (weights - coefficients) * norms / size
    gains = weights @ gram / norms / size
    return torch.stack((-steps, -gains, (steps * gains).abs())).amax((0, -2, -1)).clamp(min=0)
