"""Dynamic weight average: more weight to the tasks whose losses fall more slowly."""

import math

import torch
from torch import Tensor

from mtrl.aggregation.method import LossMethod


class DynamicWeightAverage(LossMethod):
    """Dynamic Weight Average, DWA (Liu et al. 2019, "End-to-End Multi-Task Learning with Attention", eq. 7).

    Weights `T softmax(r / temperature)`, `r_i` the mean loss of the last epoch over that of the one before; an epoch
    is `window` calls. The first two epochs have weights 1.

    Convention: the weights sum to `T`. Calls with a loss that is not finite count for nothing. A loss whose mean was
    0 counts as unchanged; a mean that changes sign, as an actor's loss in reinforcement learning may, gives a ratio
    that means nothing.

    Args:
        temperature: > 0; the larger, the more equal the weights.
        window: calls that make an epoch, >= 1.
    """

    history: Tensor | None
    """`[..., 4, T]`: sum of the losses of this epoch, means of the last epoch and the one before, number of calls in
    this epoch."""

    def __init__(self, temperature: float = 2.0, window: int = 25) -> None:
        super().__init__()
        if not 0 < temperature < math.inf:
            raise ValueError(f"DynamicWeightAverage needs a finite temperature > 0, got temperature={temperature}")
        if not window >= 1:
            raise ValueError(f"DynamicWeightAverage needs window >= 1, got window={window}")
        self.temperature = temperature
        self.window = window
        self.open_buffer("history", -1)

    def weigh_losses(self, losses: Tensor) -> Tensor:
        history = self.remembered("history", torch.zeros_like(losses).unsqueeze(-2).expand(*losses.shape[:-1], 4, -1))
        total, last, before, count = history.unbind(-2)
        ratio = torch.where(before != 0, last / torch.where(before != 0, before, 1.0), 1.0)

        total, count = total + losses, count + 1
        full = count >= self.window
        after = torch.stack(
            (
                torch.where(full, 0.0, total),
                torch.where(full, total / count, last),
                torch.where(full, last, before),
                torch.where(full, 0.0, count),
            ),
            -2,
        )
        finite = losses.isfinite().all(-1, keepdim=True).unsqueeze(-2)
        self.remember("history", torch.where(finite, after, history))
        return losses.shape[-1] * (ratio / self.temperature).softmax(-1)
