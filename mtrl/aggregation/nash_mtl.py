"""Nash-MTL: the update that a bargaining game among the tasks ends with."""

from typing import Literal

from torch import Tensor

from mtrl.aggregation.method import Method
from mtrl.aggregation.solvers.linear_algebra import EPS
from mtrl.aggregation.solvers.nash_bargaining import ITERATIONS, nash_bargaining, nash_residual
from mtrl.aggregation.solvers.nash_ccp import ROUNDS, nash_ccp


class NashMTL(Method):
    """Multi-Task Learning as a Bargaining Game (Navon et al. 2022), claim 3.1: `G a = 1/a`, `a > 0`.

    The update `d = sum_i a_i g_i` maximises `sum_i log <g_i, d>` on its sphere. It does not change when a
    task's loss is multiplied by a constant, it conflicts with no task (`<g_i, d> = 1/a_i`), and `|d|^2` is
    the number of gradients that are not zero.

    Convention: the sum, without a clip or a rescale; the paper's `max_norm = 1` clips the update and belongs
    to the step. A task with a zero gradient takes no part and has weight 0. At a Pareto-stationary point
    (some convex combination of the gradients vanishes) the game has no solution and no direction helps every
    task: all weights are 0, and `solve(...).stationary` says so. Paper: their code multiplies the losses of the heads
    by the weights, too; here heads take the plain gradients.

    `solve(...).residual` is `max_i |a_i (G a)_i - 1|`. Below 1e-9 but for rounding, `T eps` (of float64) times
    `a_i sum_j |G_ij| a_j`, which grows to 1e-2 at the verge of a Pareto-stationary point: no weights of float64 are
    better.

    Args:
        solver: `newton` is exact and batched; `ccp` is the paper's procedure through cvxpy, one matrix at a
            time on the host, for comparison.

    Examples:
        Weights from a Gram matrix alone; the second gradient is four times as long and weighs a quarter:

        >>> import torch
        >>> NashMTL()(torch.diag(torch.tensor([1.0, 16.0])))
        tensor([1.0000, 0.2500])
    """

    def __init__(self, solver: Literal["newton", "ccp"] = "newton") -> None:
        super().__init__()
        if solver not in ("newton", "ccp"):
            raise ValueError(f"NashMTL needs solver 'newton' or 'ccp', got solver={solver!r}")
        self.solver = solver
        self.iterations = ITERATIONS if solver == "newton" else ROUNDS

    def weigh(self, gram: Tensor, losses: Tensor | None, eps: float) -> Tensor:
        return nash_bargaining(gram, eps, self.noted(gram)) if self.solver == "newton" else nash_ccp(gram)

    def residual(self, gram: Tensor, losses: Tensor | None, weights: Tensor, eps: float = EPS) -> Tensor:
        return nash_residual(gram, weights)
