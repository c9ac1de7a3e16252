"""Scale-invariant loss: the sum of the logarithms of the losses."""

import torch
from torch import Tensor

from mtrl.aggregation.method import LossMethod
from mtrl.aggregation.solvers.loss_weighting import log_losses


class ScaleInvariant(LossMethod):
    """Descends `sum_i log L_i` (the SI baseline of Navon et al. 2022): weights `1 / L_i`.

    A constant factor on a task's loss changes nothing.

    Convention: the sum. Losses must be positive: a task whose loss is not has weight 0 in a plain call. So it makes
    no sense for losses that change sign, such as those of actors in reinforcement learning.
    """

    positive_losses = True

    def weigh_losses(self, losses: Tensor) -> Tensor:
        log, live = log_losses(losses)
        return torch.where(live, (-log).exp(), 0.0)
