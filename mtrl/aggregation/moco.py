"""MoCo: MGDA's weights, moved on by one projected step per call, of gradients averaged over time."""

from collections.abc import Mapping

import torch
from torch import Tensor

from mtrl.aggregation.gradient_method import GradientMethod, Gradients, flatten, unflatten
from mtrl.aggregation.method import Method
from mtrl.aggregation.solvers.linear_algebra import multiply
from mtrl.aggregation.solvers.simplex import of_sum_one, project_on_simplex


class MoCo(Method, GradientMethod):
    """Multi-objective Gradient Correction (Fernando et al. 2023, "Mitigating Gradient Bias in Multi-objective
    Learning"), algorithm 1.

    An estimate of each task's gradient follows it, `y_i <- y_i - b (y_i - g_i)` with `b = beta / k^beta_decay` at the
    `k`-th step; the weights are of the estimates' Gram matrix and combine the estimates. A call on a Gram matrix `G`
    takes one step

        w <- project(w - c (G + rho I) w),    c = gamma / k^gamma_decay,

    on the simplex, from where the last call ended (from `1/T` at first), whatever gradients the matrix is of. Where
    tasks are absent, that is the simplex of the others, which keep the share that they have of all tasks' weights.

    Convention: the weights sum to one, as in the paper. Here the estimates begin with the first gradients, `G` is in
    units of its mean diagonal (so `gamma` and `rho` do not depend on the units of the losses) and `b` is at most 1.
    Paper: the estimates are projected on a ball of the loss's Lipschitz constant, which nobody knows; here not.

    Args:
        beta: size of the steps of the estimates, > 0; 1 without a decay keeps no past.
        beta_decay: >= 0.
        gamma: size of the steps of the weights, > 0.
        gamma_decay: >= 0.
        rho: pull towards equal weights, >= 0.
    """

    remembers_gradients = True
    weighs_remembered = True
    estimates: Tensor | None
    """`[..., T, P]`, in the gradients' dtype, the leaves in their order."""
    simplex_weights: Tensor | None
    observed: Tensor
    step: Tensor

    def __init__(
        self,
        beta: float = 0.5,
        beta_decay: float = 0.5,
        gamma: float = 0.1,
        gamma_decay: float = 0.5,
        rho: float = 0.0,
    ) -> None:
        super().__init__()
        for name, value in (("beta", beta), ("gamma", gamma)):
            if not 0 < value < float("inf"):
                raise ValueError(f"MoCo needs a finite {name} > 0, got {name}={value}")
        for name, value in (("beta_decay", beta_decay), ("gamma_decay", gamma_decay), ("rho", rho)):
            if not 0 <= value < float("inf"):
                raise ValueError(f"MoCo needs a finite {name} >= 0, got {name}={value}")
        self.beta = beta
        self.beta_decay = beta_decay
        self.gamma = gamma
        self.gamma_decay = gamma_decay
        self.rho = rho
        self.open_buffer("estimates", -2)
        self.open_buffer("simplex_weights", -1, fair=True)
        self.register_buffer("observed", torch.tensor(0))
        self.register_buffer("step", torch.tensor(0))

    def forget(self) -> None:
        super().forget()
        self.observed.zero_()
        self.step.zero_()

    def direction(self, gradients: Gradients, losses: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        estimates = gradients.with_leaves(self.estimated(gradients.whole(), losses))
        weights = self(estimates.gram(), losses)
        return estimates.combine(weights), weights

    def estimated(self, gradients: Mapping[str, Tensor], losses: Tensor) -> Mapping[str, Tensor]:
        """Moves the estimates on, by parameter name: `[..., T, *shape]`.

        Where a gradient of a task is NaN or infinite so is what comes back, but not what is kept.
        """
        flat = flatten(gradients, losses)
        old = self.remembered("estimates", torch.where(flat.isfinite().all(-1, keepdim=True), flat, 0.0))
        self.observed.add_(1)
        share = (self.beta * self.observed.double() ** -self.beta_decay).clamp(max=1).to(flat)
        moved = old + share * (flat - old)
        self.remember("estimates", moved)
        return unflatten(moved, gradients)

    def weigh(self, gram: Tensor, losses: Tensor | None, eps: float) -> Tensor:
        w, share = of_sum_one(self.remembered("simplex_weights", torch.full_like(gram[..., 0], 1 / gram.shape[-1])))
        self.step.add_(1)
        size = gram.diagonal(dim1=-2, dim2=-1).mean(-1, keepdim=True)
        slope = multiply(gram, w) / torch.where(size > 0, size, 1.0) + self.rho * w
        w = project_on_simplex(w - self.gamma * self.step.double() ** -self.gamma_decay * slope)
        self.remember("simplex_weights", share * w)
        return w
