"""The Nash bargaining weights: the positive solution of `a_i (G a)_i = 1`, by Newton's method."""

from torch import Tensor

from mtrl.aggregation.solvers.linear_algebra import (
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

ITERATIONS = 16
"""Twelve suffice for 50 tasks at condition numbers of 1e6; well-conditioned matrices need four or five."""


@solver
def nash_bargaining(gram: Tensor, eps: float, worst: Tensor | None = None) -> Tensor:
    """Solve `a_i (G a)_i = 1` with `a > 0` over the gradients that are not zero.

    The equation is the stationarity of the strictly convex `1/2 a^T G a - sum_i log a_i`. In the unknown
    `x_i = a_i |g_i|` the matrix is `C`, the cosines, and a Newton step `x (1 + u)` solves

        (I + X C X) u = 1 - x * (C x),    X = diag(x),

    whose matrix has no eigenvalue below 1, however singular `C` is. An increase is taken whole and a decrease
    as `1 / (1 - u)`, which keeps `x` positive and equals Newton's step to first order. Start and every
    iterate lie on the optimum of their ray, `x^T C x = K` for `K` non-zero gradients.

    Args:
        gram: `[..., T, T]`, float64.
        eps: relative rounding of its entries.
        worst: raised to the largest residual; 1 where there is a solution that was not found.

    Returns:
        Weights, `[..., T]`; zero for a zero gradient. Zero for every task if there is no solution, that is if
        some convex combination of the unit gradients vanishes (squared norm below `4 T eps`, the rounding of
        `C`).
    """
    xp = library(gram)
    norms, live = lengths(gram)
    cosines = unit_diagonal(gram, norms)
    one = xp.ones_like(norms) * live
    count = one.sum(-1)[..., None]
    eye = identity(norms)
    x = _on_ray(one, cosines, count)
    for _ in range(ITERATIONS):
        scaled = cosines * (x[..., None] * x[..., None, :])
        u = solve(eye + scaled, (one - scaled.sum(-1))[..., None])[..., 0]
        x = _on_ray(xp.where(u > 0, x * (1 + u), x / (1 - u)), cosines, count)
        if known(abs(u) < 1e-8):  # squared by the step just taken
            break
    # x / sum(x) is a convex combination of unit gradients whose squared norm is count / sum(x)^2. Where only
    # some gradients cancel, x may grow slowly, but then it does not converge.
    apart = count > 4 * gram.shape[-1] * eps * x.sum(-1)[..., None] ** 2
    residual = xp.amax(abs(x * multiply(cosines, x) - one), -1)[..., None]
    solvable = apart & (residual < 1e-2)
    note(worst, certified(residual, solvable, cosines, live, eps))
    return xp.where(solvable & live, x / norms, 0.0)


def _on_ray(x: Tensor, cosines: Tensor, count: Tensor) -> Tensor:
    """The multiple of `x` at which `x^T C x = K`: the optimum on its ray."""
    return x * library(x).sqrt(count / dot(x, multiply(cosines, x)))


def nash_residual(gram: Tensor, weights: Tensor) -> Tensor:
    """`max_i |a_i (G a)_i - 1|` over the gradients that are not zero, `[...]`."""
    _, live = lengths(gram)
    return (live * (weights * multiply(gram, weights) - 1).abs()).amax(-1)
