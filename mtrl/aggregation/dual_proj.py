"""DualProj: the mean gradient, projected on the cone of updates that conflict with no task."""

from collections.abc import Sequence

from torch import Tensor

from mtrl.aggregation.method import Method
from mtrl.aggregation.solvers import interior_point
from mtrl.aggregation.solvers.dual_cone import dual_cone_projection, dual_cone_residual
from mtrl.aggregation.solvers.linear_algebra import EPS
from mtrl.aggregation.solvers.per_task import checked_preference, per_task


class DualProj(Method):
    """Gradient Episodic Memory's projection (Lopez-Paz and Ranzato 2017, eq. 8 to 11), applied to the mean gradient.

    The update is the point nearest to `sum_i p_i g_i` among those with `<g_i, d> >= 0` for every task. Without a
    conflict it is the mean.

    Convention: the mean. The paper projects the current task's gradient, `p = e_k`, on the cone of the others'; its
    margin, the least weight of each of those, is 0 here. A zero gradient constrains nothing; its weight is `p_i`.

    `solve(...).residual` is the largest violation of the optimality conditions (`w >= p`, `G w >= 0`, one of the two an
    equality), in units of the gradients' lengths; rounding explains as much of it as for UPGrad.

    Args:
        preference: `p`, one number >= 0 per task, used as given; None for `1/T`.
    """

    iterations = interior_point.ITERATIONS

    def __init__(self, preference: Sequence[float] | None = None) -> None:
        super().__init__()
        self.preference = checked_preference("DualProj", preference)

    def weigh(self, gram: Tensor, losses: Tensor | None, eps: float) -> Tensor:
        p = per_task("DualProj", "preference", self.preference, 1 / gram.shape[-1], gram[..., 0])
        return dual_cone_projection(gram, p.unsqueeze(-2), eps, self.noted(gram)).squeeze(-2)

    def residual(self, gram: Tensor, losses: Tensor | None, weights: Tensor, eps: float = EPS) -> Tensor:
        p = per_task("DualProj", "preference", self.preference, 1 / gram.shape[-1], gram[..., 0])
        return dual_cone_residual(gram, p.unsqueeze(-2), weights.unsqueeze(-2), eps)
