"""FairGrad: the update that shares the gains among the tasks alpha-fairly."""

from torch import Tensor

from mtrl.aggregation.method import Method
from mtrl.aggregation.solvers.fair_allocation import ITERATIONS, fair_allocation, fair_residual
from mtrl.aggregation.solvers.linear_algebra import EPS


class FairGrad(Method):
    """Fair Resource Allocation in Multi-Task Learning (Ban and Ji 2024), eq. 4: `G w = w^(-1/alpha)`, `w > 0`.

    The update `d = sum_i w_i g_i` maximises `sum_i <g_i, d>^(1 - alpha) / (1 - alpha)` on its sphere. With `alpha = 1`
    it is Nash-MTL's; as `alpha` grows the smallest gain counts ever more, as in MGDA; as it vanishes, the mean one. It
    conflicts with no task.

    Convention: the sum, without a rescale; gradients times `s` make the update times `s^((1 - alpha) / (1 + alpha))`. A
    task with a zero gradient takes no part and has weight 0. At a Pareto-stationary point (some convex combination of
    the gradients vanishes) the equation has no solution: all weights are 0, and `solve(...).stationary` says so.

    `solve(...).residual` is `max_i |w_i^(1/alpha) (G w)_i - 1|`. Below 1e-9 but for rounding, `T eps` (of float64)
    times `w_i^(1/alpha) sum_j |G_ij| w_j`: norms that spread over 1e8 and more make gains that are the difference of
    numbers so many times as large. From 1e16 on weights may be 0 with a residual of 1: not solved.

    Args:
        alpha: fairness, 0.5 <= alpha <= 10.
    """

    iterations = ITERATIONS

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        if not 0.5 <= alpha <= 10:
            raise ValueError(f"FairGrad needs 0.5 <= alpha <= 10, got alpha={alpha}")
        self.alpha = alpha

    def weigh(self, gram: Tensor, losses: Tensor | None, eps: float) -> Tensor:
        return fair_allocation(gram, self.alpha, eps, self.noted(gram))

    def residual(self, gram: Tensor, losses: Tensor | None, weights: Tensor, eps: float = EPS) -> Tensor:
        return fair_residual(gram, self.alpha, weights)
