"""Per-task gradients beside each other: what a method is given, what it makes of it; with ranks, means over these.

Axes: `T` tasks.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mtrl.aggregation import CoordinateMethod, GradientMethod, Method
from mtrl.gradients.average import Average
from mtrl.gradients.leaves import TaskGradients
from mtrl.gradients.shards import ShardedGradients, sharded
from mtrl.gradients.size import by_task


class Compared(NamedTuple):
    """Per-task gradients and their inner products."""

    gradients: TaskGradients | ShardedGradients
    """The gradients divided by `unit`, task by task; with ranks, this one's part of them if the method reads none."""
    unit: Tensor
    """`[T]`, float64."""
    gram: Tensor
    """`[T, T]`, float64, of the gradients themselves."""
    eps: float
    """Its relative rounding."""

    def combine(self, weights: Tensor) -> list[Tensor]:
        """`sum_i w_i g_i`, parameter by parameter."""
        return [*self.gradients.combine(weights * self.unit).values()]

    def direction(
        self, method: Method | CoordinateMethod, losses: Tensor, factor: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        """Weights and what the method makes of the gradients, times a factor; one that reads them uses them up."""
        if isinstance(method, GradientMethod):
            assert isinstance(self.gradients, TaskGradients)
            whole = {name: leaf.mul_(by_task(self.unit, leaf)) for name, leaf in self.gradients.whole().items()}
            direction, weights = method.direction(TaskGradients(whole), losses)
            return weights, [x * factor for x in direction.values()]
        weights = method(self.gram, losses.double(), self.eps)
        return weights, self.combine(weights * factor)


def compared(gradients: TaskGradients, unit: Tensor, common: Tensor, average: Average | None, parted: bool) -> Compared:
    """Gradients and their Gram matrix, over all ranks.

    Args:
        gradients: of this rank, divided by `unit`; without an average they are taken over as they are.
        unit: `[T]`, float64.
        common: `[T]`, float64, about as large, and the same on every rank; `unit` without an average.
        average: over the ranks, if there are any; the gradients then are whole ones.
        parted: whether a rank may keep a part of the averages, since the method reads none.
    """
    of_all: TaskGradients | ShardedGradients = gradients
    if average is not None:
        if parted:
            of_all = sharded(gradients.leaves, unit / common, average)
        else:
            of_all = gradients.scaled(unit / common)
            average([*of_all.whole().values()])
    gram = of_all.gram()
    return Compared(of_all, common, gram.double() * common * common.unsqueeze(-1), torch.finfo(gram.dtype).eps)
