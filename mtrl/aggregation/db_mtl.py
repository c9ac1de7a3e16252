"""DB-MTL: logarithms of the losses, and gradients of equal norm."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from mtrl.aggregation.gradient_method import GradientMethod, Gradients, flatten, unflatten
from mtrl.aggregation.method import Method
from mtrl.aggregation.solvers.linear_algebra import lengths


class DBMTL(Method, GradientMethod):
    """Dual-Balancing for Multi-Task Learning (Lin et al. 2023, algorithm 1).

    The update is of running means of the gradients of `log L_i`, `m <- b m + (1 - b) g_i / L_i` with
    `b = beta / step^sigma`, all brought to the norm of the largest: weights `max_j |m_j| / |m_i|`. A call on a Gram
    matrix gives these weights, whatever gradients the matrix is of.

    Convention: the sum, as in the paper. Paper: heads follow the gradient of `log L_i`; here they take the plain one.
    A zero gradient has weight 0. Losses must be positive: the mean of a task whose loss is not stays as it
    was. So it makes no sense for losses that change sign, such as those of actors in reinforcement learning.

    Args:
        beta: weight of the past, 0 <= beta < 1; 0 keeps none.
        sigma: how fast the past loses weight, >= 0.
    """

    remembers_gradients = True
    weighs_remembered = True
    positive_losses = True
    means: Tensor | None
    """`[..., T, P]`, in the gradients' dtype."""
    step: Tensor

    def __init__(self, beta: float = 0.9, sigma: float = 0.5) -> None:
        super().__init__()
        if not 0 <= beta < 1:
            raise ValueError(f"DBMTL needs 0 <= beta < 1, got beta={beta}")
        if not 0 <= sigma < math.inf:
            raise ValueError(f"DBMTL needs a finite sigma >= 0, got sigma={sigma}")
        self.beta = beta
        self.sigma = sigma
        self.open_buffer("means", -2)
        self.register_buffer("step", torch.tensor(0))

    def forget(self) -> None:
        super().forget()
        self.step.zero_()

    def direction(self, gradients: Gradients, losses: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        means = gradients.with_leaves(self.averaged(gradients.whole(), losses))
        weights = self(means.gram(), losses)
        return means.combine(weights), weights

    def averaged(self, gradients: Mapping[str, Tensor], losses: Tensor) -> Mapping[str, Tensor]:
        """Moves the running means of the gradients of `log L_i` on, by parameter name: `[..., T, *shape]`.

        Where a gradient or a loss is NaN or infinite so is what comes back, but not what is kept.
        """
        flat = flatten(gradients, losses)
        means = self.remembered("means", torch.zeros_like(flat))
        self.step.add_(1)
        past = (self.beta * self.step.double() ** -self.sigma).to(flat)
        loss = losses.detach().to(flat).unsqueeze(-1)
        after = torch.where(loss <= 0, means, past * means + (1 - past) * flat / loss)
        self.remember("means", after)
        return unflatten(after, gradients)

    def weigh(self, gram: Tensor, losses: Tensor | None, eps: float) -> Tensor:
        norms, live = lengths(gram)
        largest = torch.where(live, norms, 0.0).amax(-1, keepdim=True)
        return torch.where(live, largest / norms, 0.0)
