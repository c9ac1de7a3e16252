"""Random loss weighting: fresh random weights at each step."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mtrl.aggregation.method import LossMethod
from mtrl.aggregation.solvers.random_stream import checked_seed, random_key, random_keys, random_normal


class RandomLossWeighting(LossMethod):
    """Random Loss Weighting, RLW (Lin et al. 2022, "Reasonable Effectiveness of Random Weighting", algorithm 1).

    Weights `softmax(z)`, `z` standard normal, fresh at each call; their mean over calls is `1/T`.

    Convention: the weights sum to one. One draw serves all leading axes of a call.

    Args:
        seed: of the draws. It and the number of calls so far are the state that `state_dict()` holds.
    """

    needs_losses = False
    key: Tensor
    step: Tensor

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.seed = checked_seed("RandomLossWeighting", seed)
        self.register_buffer("key", random_key(seed))
        self.register_buffer("step", torch.tensor(0))

    def draw_apart(self, seeds: Sequence[int]) -> None:
        self.key = random_keys(seeds)

    def weigh_losses(self, losses: Tensor) -> Tensor:
        draw = random_normal(self.key, self.step, losses.shape[-1]).to(losses.device)
        self.step.add_(1)
        return draw.softmax(-1).expand(losses.shape)
