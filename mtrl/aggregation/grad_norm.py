"""GradNorm: learned loss weights that bring the gradients' norms to where the training rates want them."""

import math

import torch
from torch import Tensor

from mtrl.aggregation.method import Method
from mtrl.aggregation.solvers.loss_weighting import adam_start, adam_step, checked_learning_rate, positive
from mtrl.aggregation.solvers.simplex import whole_or


class GradNorm(Method):
    """Gradient Normalization (Chen et al. 2018, algorithm 1): learned weights `w` of the losses.

    With `n_i = w_i |g_i|` and `r_i` the loss over its first value, relative to the mean of these ratios, `w` descends
    `sum_i |n_i - mean(n) r_i^alpha|`, the target held fixed. `w` starts at 1. An Adam inside this method learns it:
    each call gives the weights as they are and then takes a step; no second optimizer is needed.

    Convention: after each step the weights are rescaled to sum to `T`, as in the paper; where tasks are absent, those
    of the others to the sum that they had. Paper: nothing keeps them positive; here a step below 0 ends at 0. Losses
    must be positive: a task whose loss is not has no ratio, so it does not count in the step. So it makes no sense for
    losses that change sign, such as those of actors in reinforcement learning.

    Args:
        alpha: strength of the pull back to a common training rate, finite.
        learning_rate: of `w`, > 0.
    """

    needs_losses = True
    positive_losses = True
    weighs_heads = True
    task_weights: Tensor | None
    """`[..., 4, T]`: `w` in the first row, then its Adam."""
    first_losses: Tensor | None
    """`[..., T]`; 0 as long as there was none that is positive."""

    def __init__(self, alpha: float = 1.5, learning_rate: float = 0.025) -> None:
        super().__init__()
        if not math.isfinite(alpha):
            raise ValueError(f"GradNorm needs a finite alpha, got {alpha=}")
        self.alpha = alpha
        self.learning_rate = checked_learning_rate("GradNorm", learning_rate)
        self.open_buffer("task_weights", -1)
        self.open_buffer("first_losses", -1)

    def weigh(self, gram: Tensor, losses: Tensor | None, eps: float) -> Tensor:
        losses = self.given(losses)
        state = self.remembered("task_weights", adam_start(losses, 1.0))
        weights = state[..., 0, :].clone()
        norms = gram.diagonal(dim1=-2, dim2=-1).clamp(min=0).sqrt()
        rates, live = self._rates(losses)
        scaled = weights * norms
        excess = scaled - scaled.mean(-1, keepdim=True) * rates**self.alpha
        gradient = torch.where(live, torch.where(excess.isnan(), torch.nan, excess.sign()) * norms, 0.0)
        value, *moments = adam_step(state, gradient, self.learning_rate, eps=0.0).unbind(-2)
        value = _renormalised(value, gradient, whole_or(weights.sum(-1, keepdim=True), weights.shape[-1]))
        self.remember("task_weights", torch.stack((value, *moments), -2))
        return weights

    def _rates(self, losses: Tensor) -> tuple[Tensor, Tensor]:
        """`r`, the inverse training rates relative to their mean, and which tasks have one, both `[..., T]`."""
        first = self.remembered("first_losses", torch.zeros_like(losses))
        live = positive(losses)
        first = torch.where((first > 0) & losses.isfinite(), first, torch.where(live, losses, 0.0))
        self.remember("first_losses", first)
        ratio = torch.where(live, losses / torch.where(first > 0, first, 1.0), 0.0)
        mean = ratio.sum(-1, keepdim=True) / live.sum(-1, keepdim=True).clamp(min=1)
        return torch.where(live, ratio / torch.where(mean == 0, 1.0, mean), 1.0), live


def _renormalised(weights: Tensor, gradient: Tensor, wanted: Tensor) -> Tensor:
    """Weights `[..., T]`, at least 0 and of the sum `wanted`, or `T` if that is 0; untouched where the gradient is not
    finite and made no step.
    """
    wanted = torch.where(wanted > 0, wanted, weights.shape[-1])
    positive = weights.clamp(min=0)
    total = positive.sum(-1, keepdim=True)
    equal = wanted / weights.shape[-1]
    scaled = torch.where(total > 0, positive * (wanted / torch.where(total > 0, total, 1.0)), equal)
    return torch.where(gradient.isfinite().all(-1, keepdim=True), scaled, weights)
