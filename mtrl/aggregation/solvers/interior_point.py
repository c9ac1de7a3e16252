"""Minimise `1/2 y^T H y - h^T y` over `y >= 0`: a primal-dual interior-point method."""

import torch
from torch import Tensor

from mtrl.aggregation.solvers.linear_algebra import known, multiply

ITERATIONS = 25
"""Eight to eleven reach 1e-9, whatever the size and the conditioning; the rest is for degenerate solutions, where
convergence is linear."""
FLOOR = 1e-24
"""Least complementarity `y_i s_i` aimed at; the data are of order one."""
INFEASIBLE = 1e-14
"""Error of the slack that is left alone."""


def interior_point(matrix: Tensor, linear: Tensor) -> Tensor:
    """Mehrotra's predictor-corrector method (Nocedal and Wright 2006, algorithm 16.4); the host stops early.

    Args:
        matrix: `H`, `[..., T, T]`, symmetric, positive semidefinite, scaled to entries of order one.
        linear: `h`, `[..., T]`, of order one; the problem must be bounded.

    Returns:
        The minimiser `y`, `[..., T]`, all entries positive: those not in the support are tiny.
    """
    y = torch.ones_like(linear)
    slack = y + (multiply(matrix, y) - linear).abs().amax(-1, keepdim=True)
    for _ in range(ITERATIONS):
        dual = multiply(matrix, y) - linear - slack
        mu = (y * slack).mean(-1, keepdim=True)
        factor = torch.linalg.cholesky_ex(matrix + torch.diag_embed(slack / y)).L

        dy, ds = _direction(-y * slack, y, slack, dual, factor)
        reach = largest_step(y, dy, slack, ds).clamp(max=1.0)
        after = ((y + reach * dy) * (slack + reach * ds)).mean(-1, keepdim=True)
        dy, ds = _direction((after**3 / mu**2).clamp(min=FLOOR) - y * slack - dy * ds, y, slack, dual, factor)
        step = (0.9995 * largest_step(y, dy, slack, ds)).clamp(max=1.0)
        # Rests when done, and where rounding has the last word.
        short = (mu > 2 * FLOOR) | (dual.abs().amax(-1, keepdim=True) > INFEASIBLE)
        moving = short & torch.cat((dy, ds, step), -1).isfinite().all(-1, keepdim=True)
        y = torch.where(moving, y + step * dy, y)
        slack = torch.where(moving, slack + step * ds, slack)
        if known(~moving):
            break
    return y


def _direction(change: Tensor, y: Tensor, slack: Tensor, dual: Tensor, factor: Tensor) -> tuple[Tensor, Tensor]:
    """Newton step that changes `y_i s_i` by `change` to first order and removes the residual `dual`."""
    dy = torch.cholesky_solve((change / y - dual).unsqueeze(-1), factor).squeeze(-1)
    return dy, (change - slack * dy) / y


def largest_step(*pairs: Tensor) -> Tensor:
    """Largest `t` such that `x + t dx >= 0` for all `x, dx` given in turn; may be infinite. `[..., 1]`."""
    ratios = [(-dx / x).amax(-1, keepdim=True) for x, dx in zip(pairs[::2], pairs[1::2], strict=True)]
    return 1 / torch.stack(ratios).amax(0).clamp(min=0)
