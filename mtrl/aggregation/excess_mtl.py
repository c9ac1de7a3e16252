"""ExcessMTL: more weight to the tasks that are furthest from their own optimum."""

import math

import torch
from torch import Tensor

from mtrl.aggregation.gradient_method import GradientMethod, Gradients, flatten
from mtrl.aggregation.method import Method, spoiled
from mtrl.aggregation.solvers.simplex import whole_or


class ExcessMTL(Method, GradientMethod):
    """Robust Multi-Task Learning with Excess Risks (He et al. 2024, eqs. 6 to 9).

    A task's excess risk, its loss over the least that it could be, is estimated by `E_i = g_i^T H_i^-1 g_i` with
    `H_i = diag(sqrt(sum of g_i^2 over all steps))`. Weights are multiplied by `exp(step_size E_i / E_i(first))` and
    brought back to the simplex; they start equal. Where tasks are absent, that is the simplex of the others, which keep
    the share that they have of all tasks' weights.

    From a Gram matrix alone the estimate is the isotropic one, as if all coordinates of a gradient were equally large:
    `E_i = |g_i|^2 / sqrt(sum of |g_i|^2 over all steps)`. Use one or the other.

    Convention: the weights sum to one. Gradients that are not finite count for nothing.

    Args:
        step_size: of the weights, > 0.
    """

    remembers_gradients = True
    weighs_heads = True
    log_weights: Tensor | None
    """`[..., T]`"""
    first_risks: Tensor | None
    """`[..., T]`; 0 as long as there was none."""
    roots: Tensor | None
    """Roots of the sums of squares: `[..., T, P]` of the coordinates, or `[..., T]` of the norms."""

    def __init__(self, step_size: float = 0.01) -> None:
        super().__init__()
        if not 0 < step_size < math.inf:
            raise ValueError(f"ExcessMTL needs a finite step_size > 0, got {step_size=}")
        self.step_size = step_size
        self.open_buffer("log_weights", 0, fair=True)
        for name in ("first_risks", "roots"):
            self.open_buffer(name, 0)  # of the roots, `[T, P]` or `[T]`

    def direction(self, gradients: Gradients, losses: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        leaves = gradients.whole()
        seen = gradients.with_leaves(leaves)
        gram = seen.gram()
        risks = self._risks(flatten(leaves, losses)).sum(-1, dtype=torch.float64)
        weights = spoiled(self._weights(risks), gram.detach().double()).to(gram.dtype)
        return seen.combine(weights), weights

    def weigh(self, gram: Tensor, losses: Tensor | None, eps: float) -> Tensor:
        return self._weights(self._risks(gram.diagonal(dim1=-2, dim2=-1).clamp(min=0).sqrt()))

    def _weights(self, risks: Tensor) -> Tensor:
        """Weights `[..., T]`, moved on by these excess risks."""
        first = self.remembered("first_risks", torch.zeros_like(risks))
        first = torch.where(first > 0, first, risks)
        self.remember("first_risks", first)
        log_weights = self.remembered("log_weights", torch.full_like(risks, -math.log(risks.shape[-1])))
        log_share = whole_or(log_weights.logsumexp(-1, keepdim=True), 0.0)
        grown = log_weights + self.step_size * risks / torch.where(first > 0, first, 1.0)
        log_weights = grown.log_softmax(-1)
        self.remember("log_weights", log_share + log_weights)
        return log_weights.exp()

    def _risks(self, sizes: Tensor) -> Tensor:
        """`g^2 / sqrt(sum of g^2)` entry by entry; adds this step to the sum."""
        roots = self.remembered("roots", torch.zeros_like(sizes))
        now = torch.hypot(roots, sizes)
        self.remember("roots", now)
        return sizes.abs() * (sizes.abs() / torch.where(now == 0, 1.0, now))
