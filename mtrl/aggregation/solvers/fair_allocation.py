"""The weights of an alpha-fair update: the positive solution of `G w = w^(-1/alpha)`, by Newton's method."""

from torch import Tensor

from mtrl.aggregation.solvers.linear_algebra import (
    EPS,
    dot,
    identity,
    known,
    lengths,
    library,
    multiply,
    solve,
    unit_diagonal,
)
from mtrl.aggregation.solvers.solver_op import note, solver
from mtrl.aggregation.solvers.stationarity import certified

ITERATIONS = 40
"""Seven suffice for well-conditioned matrices and alpha up to 5, seventeen for 50 tasks at condition numbers of
1e6."""


@solver
def fair_allocation(gram: Tensor, alpha: float, eps: float, worst: Tensor | None = None) -> Tensor:
    """Solve `(G w)_i = w_i^(-1/alpha)` with `w > 0` over the gradients that are not zero.

    In the unknown `x_i = w_i |g_i|`, with `C` the cosines and `c_i = |g_i|^(1/alpha - 1)`, the equation is the
    stationarity of a strictly convex function: `x * (C x) = s`, `s_i = c_i x_i^(1 - 1/alpha)`. A Newton step
    `x (1 + u)` solves

        (diag(s) / alpha + X C X) u = s - x * (C x),    X = diag(x),

    whose matrix, its first term scaled to the identity, has no eigenvalue below 1. An increase is taken whole and a
    decrease as `(1 - u / alpha)^(-alpha)`, which keeps `x` positive, equals Newton's step to first order and is exact
    where the other tasks determine `(C x)_i`. Start and every iterate lie on the optimum of their ray,
    `x^T C x = sum_i s_i`.

    Args:
        gram: `[..., T, T]`, float64.
        alpha: > 0.
        eps: relative rounding of the entries of `gram`.
        worst: raised to the largest residual; 1 where there is a solution that was not found.

    Returns:
        Weights, `[..., T]`; zero for a zero gradient. Zero for every task if there is no solution, that is if some
        convex combination of the unit gradients vanishes (squared norm below `4 T eps`, the rounding of `C`).
    """
    xp = library(gram)
    sizes, live = lengths(gram)
    cosines = unit_diagonal(gram, sizes)
    unit = _mean_length(sizes, live)
    norms = xp.where(live, sizes / unit, 1.0)  # powers of the lengths as they are might overflow
    c = live * norms ** (1 / alpha - 1)
    eye = identity(norms)
    x = _on_ray(norms ** ((1 - alpha) / (1 + alpha)), cosines, c, alpha)
    for _ in range(ITERATIONS):
        s = c * x ** (1 - 1 / alpha)
        root = xp.sqrt(xp.where(live, s / alpha, 1.0))
        scaled = cosines * (x[..., None] * x[..., None, :])
        balanced = eye + scaled / root[..., None] / root[..., None, :]
        u = solve(balanced, ((s - scaled.sum(-1)) / root)[..., None])[..., 0] / root
        grown = xp.where(u > 0, 1 + u, (1 + abs(u) / alpha) ** -alpha)
        x = _on_ray(x * grown, cosines, c, alpha)
        if known(abs(u) < 1e-8):  # squared by the step just taken
            break
    inner = multiply(cosines, x)
    apart = dot(x, inner) > 4 * gram.shape[-1] * eps * (live * x).sum(-1)[..., None] ** 2
    s = c * x ** (1 - 1 / alpha)
    # Where a gain is the difference of numbers that are 1 / EPS times as large, all that is left of it is rounding.
    rounding = gram.shape[-1] * EPS * multiply(abs(cosines), x)
    error = abs(x * inner - s)
    solvable = apart & (error <= 1e-2 * s + x * rounding).all(-1)[..., None]
    residual = xp.amax(live * error / xp.where(live, s, 1.0), -1)[..., None]
    note(worst, certified(residual, solvable, cosines, live, eps))
    return xp.where(solvable & live, x / norms * unit ** (-2 * alpha / (1 + alpha)), 0.0)


def _mean_length(sizes: Tensor, live: Tensor) -> Tensor:
    """The mean length of the gradients that are not zero, `[..., 1]`; 1 if all are."""
    total, count = (live * sizes).sum(-1), live.sum(-1)
    return (total + (count == 0))[..., None] / (count + (count == 0))[..., None]


def _on_ray(x: Tensor, cosines: Tensor, c: Tensor, alpha: float) -> Tensor:
    """The multiple of `x` at which `x^T C x = sum_i s_i`: the optimum on its ray."""
    ratio = (c * x ** (1 - 1 / alpha)).sum(-1)[..., None] / dot(x, multiply(cosines, x))
    return x * ratio ** (alpha / (1 + alpha))


def fair_residual(gram: Tensor, alpha: float, weights: Tensor) -> Tensor:
    """`max_i |w_i^(1/alpha) (G w)_i - 1|` over the gradients that are not zero, `[...]`."""
    _, live = lengths(gram)
    return (live * (weights ** (1 / alpha) * multiply(gram, weights) - 1).abs()).amax(-1)
