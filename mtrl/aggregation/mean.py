"""Linear scalarization: fixed weights, the mean by default."""

import math
from collections.abc import Sequence

from torch import Tensor

from mtrl.aggregation.method import LossMethod
from mtrl.aggregation.solvers.per_task import numbers, per_task


class LinearScalarization(LossMethod):
    """Fixed weights: the update is `sum_i w_i g_i`, the gradient of the weighted loss.

    Convention: the weights are used as given; without them they are `1/T`, which is the mean.

    Args:
        weights: one number per task; None for the mean.
    """

    needs_losses = False

    def __init__(self, weights: Sequence[float] | None = None) -> None:
        super().__init__()
        self.weights = numbers(weights)
        if not all(map(math.isfinite, self.weights or ())):
            raise ValueError(f"LinearScalarization needs finite weights, got weights={list(self.weights or ())}")

    def weigh_losses(self, losses: Tensor) -> Tensor:
        return per_task("LinearScalarization", "weights", self.weights, 1 / losses.shape[-1], losses)
