"""The point of least norm in the convex hull of the gradients, from their Gram matrix."""

import torch
from torch import Tensor

from mtrl.aggregation.solvers.linear_algebra import (
    EPS,
    bilinear,
    definite,
    dot,
    identity,
    lengths,
    library,
    multiply,
    unit_diagonal,
)
from mtrl.aggregation.solvers.nonnegative_qp import nonnegative_qp
from mtrl.aggregation.solvers.solver_op import note, solver

FRANK_WOLFE_ITERATIONS = 250
"""The number in the MGDA paper's code."""


@solver
def min_norm_point(gram: Tensor, normalizers: Tensor, eps: float = EPS, worst: Tensor | None = None) -> Tensor:
    """Minimise `|sum_i w_i g_i / n_i|` over `w >= 0`, `sum_i w_i = 1`.

    With unit gradients `u_i` and `b_i = n_i / |g_i|`, the unknown `y_i = w_i / b_i` minimises
    `1/2 y^T (C + b b^T) y - b^T y` over `y >= 0` up to a positive factor: the second term keeps the problem
    bounded (and its matrix of order one) where the hull holds zero.

    Args:
        gram: `[..., T, T]`, float64.
        normalizers: `n`, `[..., T]`, >= 0; a task with 0 is infinitely far away and gets weight 0.
        eps: relative rounding of the entries of `gram`; the problem is solved for `definite(gram, eps)`.
        worst: raised to the largest residual, that of `min_norm_gap`.

    Returns:
        Weights on the simplex, `[..., T]`. If a gradient is zero it is the point itself, and the weight is
        shared by the tasks that have none.
    """
    xp = library(gram)
    gram = definite(gram, eps)
    norms, live = lengths(gram)
    inverse = normalizers / norms
    top = xp.amax(inverse, -1)[..., None]
    inverse = xp.where(top > 0, inverse / top, 1.0)
    C = unit_diagonal(gram, norms) + xp.where(live, 0.0, 1.0)[..., None] * identity(norms)
    y = nonnegative_qp(C + inverse[..., None] * inverse[..., None, :], inverse[..., None, :])[..., 0, :]
    solvable = live.all(-1)[..., None]
    if worst is not None:
        inner, total = multiply(C, y), dot(inverse, y)
        square, size = dot(y, inner), y.sum(-1)[..., None]
        scale = xp.sqrt(xp.where(square > 4 * gram.shape[-1] * eps * size**2, square, size**2))
        note(worst, xp.where(solvable, (inverse * square / total - inner) / scale, 0.0))
    weights = xp.where(solvable, inverse * y, ~live)
    return weights / weights.sum(-1)[..., None]


def min_norm_gap(gram: Tensor, normalizers: Tensor, weights: Tensor, eps: float = EPS) -> Tensor:
    """`max_i (|d|^2 - <g_i, d>) / (|g_i| |d|)` of the normalized gradients, `[...]`, for `definite(gram, eps)`.

    Never negative, and zero at the optimum alone: `|d|` exceeds its least value by a factor of `1 + r k` at most, with
    `k` the lengths of the optimum's summands over its own. Where `d` vanishes up to rounding the scale is
    `sum_i w_i |g_i|` instead of `|d|`.
    """
    norms, _ = lengths(gram)
    near = normalizers > 0
    scaled = unit_diagonal(definite(gram, eps), torch.where(near, normalizers, norms))
    sizes = scaled.diagonal(dim1=-2, dim2=-1).sqrt()
    inner = multiply(scaled, weights)
    square = dot(weights, inner)
    total = dot(weights, sizes)
    rounding = 4 * gram.shape[-1] * eps * total**2
    scale = torch.where(square > rounding, square, total**2).sqrt()
    gap = torch.where(near, square - inner, 0.0).clamp(min=0)
    return torch.where(gap > 0, gap / sizes / scale, 0.0).amax(-1)


def frank_wolfe(gram: Tensor) -> Tensor:
    """Minimise `w^T G w` over the simplex as the MGDA paper has it: slow to converge, for comparison.

    Sener and Koltun 2018, algorithm 2: each round moves towards the task whose gradient has the smallest inner product
    with the current point, by the exact line search between the two (algorithm 1).

    Args:
        gram: `[..., T, T]`, float64.

    Returns:
        Weights on the simplex, `[..., T]`.
    """
    T = gram.shape[-1]
    weights = torch.full_like(gram[..., 0], 1 / T)
    for _ in range(FRANK_WOLFE_ITERATIONS):
        inner = multiply(gram, weights)
        vertex = torch.nn.functional.one_hot(inner.argmin(-1), T).to(gram.dtype)
        towards = vertex - weights
        curvature = bilinear(towards, gram, towards)
        slope = -(inner * towards).sum(-1, keepdim=True)
        step = torch.where(curvature > 0, slope / curvature, 0.0).clamp(0, 1)
        weights = weights + step * towards
    return weights
