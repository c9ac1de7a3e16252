"""Uncertainty weighting: a learned noise level for each task."""

import torch
from torch import Tensor

from mtrl.aggregation.method import LossMethod
from mtrl.aggregation.solvers.loss_weighting import adam_start, adam_step, checked_learning_rate, positive


class UncertaintyWeighting(LossMethod):
    """Uncertainty weighting, UW (Kendall, Gal and Cipolla 2018, eq. 7): descends `sum_i 1/2 e^(-s_i) L_i + 1/2 s_i`.

    `s_i = log sigma_i^2` starts at 0 and is learned as well, by an Adam inside this method: each call gives the
    weights `1/2 e^(-s_i)` and then takes a step of `s`; no second optimizer is needed. For constant losses
    `s_i` tends to `log L_i`, the weight to `1 / (2 L_i)`.

    Convention: the paper's sum, in its form for regression. Losses must be positive: the others leave no optimum
    (`s` would fall for ever), so they do not count in the step of `s`. So it makes no sense for losses that change
    sign, such as those of actors in reinforcement learning.

    Args:
        learning_rate: of `s`, > 0. Paper: that of the network.
    """

    positive_losses = True
    log_variances: Tensor | None
    """`[..., 4, T]`: `s` in the first row, then its Adam."""

    def __init__(self, learning_rate: float = 0.025) -> None:
        super().__init__()
        self.learning_rate = checked_learning_rate("UncertaintyWeighting", learning_rate)
        self.open_buffer("log_variances", -1)

    def weigh_losses(self, losses: Tensor) -> Tensor:
        state = self.remembered("log_variances", adam_start(losses))
        weights = 0.5 * (-state[..., 0, :]).exp()
        gradient = torch.where(positive(losses), 0.5 - weights * losses, 0.0)
        self.remember("log_variances", adam_step(state, gradient, self.learning_rate))
        return weights
