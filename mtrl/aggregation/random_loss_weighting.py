"""Random loss weighting: fresh random weights at each step."""

from torch import Tensor

from mtrl.aggregation.drawing import Drawing
from mtrl.aggregation.method import LossMethod
from mtrl.aggregation.solvers.random_stream import random_normal


class RandomLossWeighting(Drawing, LossMethod):
    """Random Loss Weighting, RLW (Lin et al. 2022, "Reasonable Effectiveness of Random Weighting", algorithm 1).

    Weights `softmax(z)`, `z` standard normal, fresh at each call; their mean over calls is `1/T`.

    Convention: the weights sum to one. One draw serves all leading axes of a call.

    Args:
        seed: of the draws. It and the number of calls so far are the state that `state_dict()` holds.
    """

    needs_losses = False

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.start_stream(seed)

    def weigh_losses(self, losses: Tensor) -> Tensor:
        draw = random_normal(self.key, self.step, losses.shape[-1]).to(losses.device)
        self.step.add_(1)
        return draw.softmax(-1).expand(losses.shape)
