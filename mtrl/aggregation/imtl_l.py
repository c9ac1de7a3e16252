"""IMTL-L: learned scales that make all scaled losses equal to one."""

import torch
from torch import Tensor

from mtrl.aggregation.method import LossMethod, Method
from mtrl.aggregation.solvers.loss_weighting import adam_start, adam_step, checked_learning_rate, positive


class IMTLL(LossMethod):
    """The loss half of Impartial Multi-Task Learning (Liu et al. 2021, eq. 6): descends `sum_i e^(s_i) L_i - s_i`.

    `s` starts at 0 and is learned as well, by an Adam inside this method: each call gives the weights `e^(s_i)` and
    then takes a step of `s`; no second optimizer is needed. For constant losses `s_i` tends to `-log L_i`: scaled
    losses of 1.

    Convention: the paper's sum. Losses must be positive: the others leave no optimum (`s` would grow for ever), so
    they do not count in the step of `s`. So it makes no sense for losses that change sign, such as those of actors
    in reinforcement learning.

    Args:
        learning_rate: of `s`, > 0. Paper: that of the network.
    """

    positive_losses = True
    log_scales: Tensor | None
    """`[..., 4, T]`: `s` in the first row, then its Adam."""

    def __init__(self, learning_rate: float = 0.025) -> None:
        super().__init__()
        self.learning_rate = checked_learning_rate("IMTLL", learning_rate)
        self.open_buffer("log_scales", -1)

    def weigh_losses(self, losses: Tensor) -> Tensor:
        return learned_scales(self, losses, self.learning_rate)


def learned_scales(method: Method, losses: Tensor, learning_rate: float) -> Tensor:
    """The scales `e^(s_i)` that a method keeps as its `log_scales`, which then take a step; `[..., T]`."""
    state = method.remembered("log_scales", adam_start(losses))
    scales = state[..., 0, :].exp()
    # Of sum_i e^(s_i) L_i - s_i.
    gradient = torch.where(positive(losses), scales * losses - 1, 0.0)
    method.remember("log_scales", adam_step(state, gradient, learning_rate))
    return scales
