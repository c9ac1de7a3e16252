"""The cheapest update in the mean's direction: one backward pass of the mean loss, and nothing of single tasks.

Axes: `S` replicas (seeds side by side), `T` tasks, `P` parameters.
"""

from __future__ import annotations  # evaluated annotations of inner functions break compiled graphs

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.func import grad, vmap

from mtrl.agents import Learner
from mtrl.agents.compiling import compiled
from mtrl.agents.directions import Direction, Policies
from mtrl.agents.losses import Batch, SoftActorCritic
from mtrl.agents.networks import Layout, NetworkParameters
from mtrl.gradients import by_task


class Plain(NamedTuple):
    """Critic's and actor's directions, called as `mtrl.agents.directions.Directions` is."""

    functions: SoftActorCritic
    critic_layout: Layout
    actor_layout: Layout

    def critic(
        self, critic: Tensor, frozen: Policies, batch: Batch, alpha: Tensor, noise: Tensor, *_: Any
    ) -> tuple[Direction, Tensor]:
        """The gradient of the mean loss; mean critic values `[S, T]`."""
        target, actor = self.critic_layout.views(frozen.target), self.actor_layout.views(frozen.actor)
        parameters = self.critic_layout.views(critic), target, actor
        return self._direction(self.functions.critic_loss, self.critic_layout, parameters, (batch, alpha, noise))

    def actor(
        self, actor: Tensor, critic: Tensor, observation: Tensor, alpha: Tensor, noise: Tensor, *_: Any
    ) -> tuple[Direction, Tensor]:
        """Likewise; entropies `[S, T]`."""
        parameters = self.actor_layout.views(actor), self.critic_layout.views(critic)
        return self._direction(self.functions.actor_loss, self.actor_layout, parameters, (observation, alpha, noise))

    def _direction(
        self, loss: Callable[..., Any], layout: Layout, parameters: tuple[NetworkParameters, ...], data: Any
    ) -> tuple[Direction, Tensor]:
        frozen, num_tasks = len(parameters) - 1, data[-2].shape[-1]

        def of_one_replica(moved: NetworkParameters, *others: Any) -> Any:
            lifted, rest = [_lifted(other, num_tasks) for other in others[:frozen]], others[frozen:]

            def mean(moved: NetworkParameters) -> Any:
                losses, auxiliary = loss({}, _lifted(moved, num_tasks), *lifted, *rest)
                return losses.mean(), (losses, auxiliary)

            return grad(mean, has_aux=True)(moved)

        gradient, (losses, auxiliary) = vmap(of_one_replica)(*parameters, *data)
        flat = layout.flatten(NetworkParameters(*gradient), leading=1)
        return Direction(flat, losses, torch.full_like(losses, 1 / num_tasks), None), auxiliary


def plain(learner: Learner, compile: bool, cuda_graphs: bool) -> Learner:
    """The same learner with these directions."""
    directions = Plain(learner.functions, learner.critic_layout, learner.actor_layout)
    functions: Any = directions.critic, directions.actor
    learner._as_written = learner._as_written._replace(critic=functions[0], actor=functions[1])
    if compile:
        functions = compiled(*functions, cuda_graphs=cuda_graphs)
    learner._compiled = learner._as_written._replace(critic=functions[0], actor=functions[1])
    return learner


def _lifted(parameters: NetworkParameters, num_tasks: int) -> NetworkParameters:
    return NetworkParameters(by_task(parameters.shared, num_tasks), parameters.own)
