"""The cheapest update in the mean's direction: one backward pass of the mean loss, and nothing of single tasks.

Axes: `S` replicas (seeds side by side), `T` tasks, `P` parameters.
"""

from __future__ import annotations  # evaluated annotations of inner functions break compiled graphs

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.func import grad

from mtrl.agents import Learner
from mtrl.agents.compiling import Compiler
from mtrl.agents.direction import Direction, TaskDirections, over_replicas
from mtrl.agents.networks import NetworkParameters


class Plain(TaskDirections):
    """A component's directions; its method and the norm that gradients are clipped to play no part."""

    def direction(
        self, vector: Tensor, frozen: Sequence[Tensor], data: Sequence[Any], weights: Tensor | None, measure: bool
    ) -> tuple[Direction, Tensor]:
        """The gradient of the mean loss; what the loss tells, `[S, T]`."""
        num_tasks = data[-1].shape[1]

        def of_one_replica(moved: NetworkParameters, *given: Any) -> Any:
            def mean(moved: NetworkParameters) -> Any:
                losses, told = self.loss({}, *moved.of_tasks(num_tasks), *given)
                return losses.mean(), (losses, told)

            return grad(mean, has_aux=True)(moved)

        moved, fixed = self._networks(vector, frozen, data)
        gradient, (losses, told) = over_replicas(of_one_replica)(moved, fixed, *data)
        flat = self.layouts[0].flatten(NetworkParameters(*gradient), leading=1)
        return Direction(flat, losses, torch.full_like(losses, 1 / num_tasks), None), told


def plain(learner: Learner, compile: bool, cuda_graphs: bool) -> Learner:
    """Makes a learner take plain directions."""
    compiler = Compiler(learner.device, cuda_graphs) if compile else lambda function: function
    for component in (learner.critic, learner.actor):
        component.directions = Plain(component.loss, component.layouts, component.method, None, compiler)
    return learner
