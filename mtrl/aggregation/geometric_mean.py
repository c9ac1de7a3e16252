"""Geometric loss strategy: the geometric mean of the losses."""

import torch
from torch import Tensor

from mtrl.aggregation.method import LossMethod
from mtrl.aggregation.solvers.linear_algebra import dot
from mtrl.aggregation.solvers.loss_weighting import log_losses


class GeometricMean(LossMethod):
    """Geometric Loss Strategy, GLS (Chennupati et al. 2019, eq. 3): descends `M = (prod_i L_i)^(1/T)`.

    Weights `M / (T L_i)`: those of the sum of logarithms, in the losses' own unit.

    Convention: the geometric mean itself, so equal losses have weights `1/T`. Losses must be positive: a task whose
    loss is not has weight 0 in a plain call, and the mean is over the others. So it makes no sense for losses that
    change sign, such as those of actors in reinforcement learning.
    """

    positive_losses = True

    def weigh_losses(self, losses: Tensor) -> Tensor:
        log, live = log_losses(losses)
        one = live.to(log.dtype)
        count = one.sum(-1, keepdim=True).clamp(min=1)
        return torch.where(live, (dot(log, one) / count - log).exp() / count, 0.0)
