"""UPGrad: each gradient is projected on the cone of updates that conflict with no task."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mtrl.aggregation.method import Method
from mtrl.aggregation.solvers import interior_point
from mtrl.aggregation.solvers.dual_cone import dual_cone_projection, dual_cone_residual
from mtrl.aggregation.solvers.linear_algebra import EPS, bilinear, dot, lengths
from mtrl.aggregation.solvers.per_task import checked_preference, per_task


class UPGrad(Method):
    """Unconflicting Projection of Gradients (Quinton and Rey 2024, "Jacobian Descent for Multi-Objective
    Optimization"): `d = sum_i p_i pi(g_i)`, `pi` the projection on `{d : <g_i, d> >= 0 for all i}`.

    The update conflicts with no task; without a conflict it is the mean. It is linear in the length of each gradient: a
    task with small gradients stays small. Where a convex combination of the gradients vanishes in which every task
    counts, it is zero; where only some count, it may still serve the others.

    Convention: the mean of the projections, as in the paper. A zero gradient constrains nothing; its weight is `p_i`.

    `solve(...).residual` is the largest violation of the optimality conditions of the `T` projections (`w >= u`,
    `G w >= 0`, one of the two an equality), in units of the gradients' lengths. Where, up to rounding, no update helps
    every task, `y = (w - u) |g|` may be large, and rounding explains `4 T eps max(y)^2` of the residual.

    `T` programs of `T` unknowns each: half a second for 500 tasks on one core (0.01 s for 100) whose gradients are
    independent; 1 to 5 s where they are stationary or span few dimensions, and a minute where they are about twice as
    many as those. DualProj, a single program, takes 0.01 s, or 0.1 s there.

    Args:
        preference: `p`, one number >= 0 per task, used as given; None for `1/T`.
    """

    iterations = interior_point.ITERATIONS

    def __init__(self, preference: Sequence[float] | None = None) -> None:
        super().__init__()
        self.preference = checked_preference("UPGrad", preference)

    def weigh(self, gram: Tensor, losses: Tensor | None, eps: float) -> Tensor:
        p = per_task("UPGrad", "preference", self.preference, 1 / gram.shape[-1], gram[..., 0])
        return (p.unsqueeze(-1) * dual_cone_projection(gram, _each(gram), eps, self.noted(gram))).sum(-2)

    def residual(self, gram: Tensor, losses: Tensor | None, weights: Tensor, eps: float = EPS) -> Tensor:
        # The conditions are those of the T projections, whose sum alone is at hand: they are made again.
        p = per_task("UPGrad", "preference", self.preference, 1 / gram.shape[-1], gram[..., 0])
        projected = dual_cone_projection(gram, _each(gram), eps)
        change = weights - (p.unsqueeze(-1) * projected).sum(-2)
        norms, live = lengths(gram)
        size = dot(p, torch.where(live, norms, 0.0))
        shift = bilinear(change, gram, change).clamp(min=0).sqrt() / torch.where(size > 0, size, 1.0)
        return torch.maximum(dual_cone_residual(gram, _each(gram), projected, eps), shift.squeeze(-1))


def _each(gram: Tensor) -> Tensor:
    """The gradients' own coefficients, `[..., T, T]`."""
    return torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device).expand(gram.shape)
