"""The parts of an update that are compiled: gradients of every task, aggregated into one direction per component.

Axes: `S` replicas (seeds side by side), `T` tasks, `B` batch per task, `O` observation, `A` action.
"""

from __future__ import annotations  # evaluated annotations of inner functions break compiled graphs

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.func import vmap

from mtrl.agents.losses import Batch, SoftActorCritic
from mtrl.agents.networks import Layout, NetworkParameters
from mtrl.aggregation import CoordinateMethod, Method
from mtrl.gradients import TaskGradients, by_task, linear_task_gradients


class Direction(NamedTuple):
    """A step's gradients for one component, and where they come from."""

    gradient: Tensor
    """`[S, P]`, of the shared parameters the combined one, of each task's own ones its own."""
    losses: Tensor
    """`[S, T]`"""
    weights: Tensor
    """`[S, T]`; NaN from a coordinate-wise rule."""
    gram: Tensor | None
    """`[S, T, T]`, of the tasks' gradients of the shared parameters; None where it was not needed."""


class Collected(NamedTuple):
    """What a backward pass through the losses of all tasks gives."""

    leaves: Mapping[str, Any]
    """Of `TaskGradients` of the shared parameters."""
    own: dict[str, Tensor]
    """Gradients of the own parameters."""
    losses: Tensor
    """`[S, T]`"""


class Policies(NamedTuple):
    """What the critic's loss reads and does not move."""

    target: Tensor
    actor: Tensor


@dataclass(frozen=True)
class Directions:
    """The directions of critic and actor, for all replicas at once.

    Attributes:
        functions: networks and losses.
        critic_layout: of the critics' parameters.
        actor_layout: of the actor's.
        critic_method: aggregates the critic's gradients; its state moves on when no weights are given.
        actor_method: the actor's.
        max_grad_norm: the gradient of a replica's component is clipped to this norm; None for not.
    """

    functions: SoftActorCritic
    critic_layout: Layout
    actor_layout: Layout
    critic_method: Method | CoordinateMethod
    actor_method: Method | CoordinateMethod
    max_grad_norm: float | None

    def critic(
        self,
        critic: Tensor,
        frozen: Policies,
        batch: Batch,
        alpha: Tensor,
        noise: Tensor,
        weights: Tensor | None,
        measure: bool = False,
    ) -> tuple[Direction, Tensor]:
        """The critics' direction.

        Args:
            critic: parameters `[S, P]`.
            frozen: of target critics and actor.
            batch: `[S, T, B, ...]`.
            alpha: temperatures, `[S, T]`.
            noise: standard normal, `[S, T, B, A]`.
            weights: `[S, T]`, of an earlier call, to be used once more; None for new ones.
            measure: give the Gram matrix even where nothing else needs it.

        Returns:
            The direction; mean critic values `[S, T]`.
        """

        def of_one_replica(parameters: NetworkParameters, *data: Any) -> Any:
            return _collected(self._critic_losses, parameters, data, noise)

        parameters = self._views(critic, frozen)
        collected, value = vmap(of_one_replica)(*parameters, batch, alpha, noise)
        return self._direction(self.critic_method, self.critic_layout, collected, weights, measure), value

    def actor(
        self,
        actor: Tensor,
        critic: Tensor,
        observation: Tensor,
        alpha: Tensor,
        noise: Tensor,
        weights: Tensor | None,
        measure: bool = False,
    ) -> tuple[Direction, Tensor]:
        """The actor's direction; arguments as for `critic`.

        Returns:
            The direction; entropies of the policy `[S, T]`.
        """

        def of_one_replica(parameters: NetworkParameters, *data: Any) -> Any:
            return _collected(self._actor_losses, parameters, data, noise)

        parameters = self.actor_layout.views(actor), self.critic_layout.views(critic)
        collected, entropy = vmap(of_one_replica)(*parameters, observation, alpha, noise)
        return self._direction(self.actor_method, self.actor_layout, collected, weights, measure), entropy

    @torch.no_grad()
    def critic_losses(self, critic: Tensor, frozen: Policies, batch: Batch, alpha: Tensor, noise: Tensor) -> Tensor:
        """`[S, T]`; arguments as for `critic`."""

        def of_one_replica(critic: NetworkParameters, *data: Any) -> Tensor:
            shared = by_task(critic.shared, noise.shape[1])
            return self._critic_losses({}, shared, critic.own, *data)[0]

        return vmap(of_one_replica)(*self._views(critic, frozen), batch, alpha, noise)

    def _views(
        self, critic: Tensor, frozen: Policies
    ) -> tuple[NetworkParameters, NetworkParameters, NetworkParameters]:
        critics = self.critic_layout.views
        return critics(critic), critics(frozen.target), self.actor_layout.views(frozen.actor)

    def _critic_losses(
        self,
        tape: dict[str, Tensor],
        shared: dict[str, Tensor],
        own: dict[str, Tensor],
        target: NetworkParameters,
        actor: NetworkParameters,
        batch: Batch,
        alpha: Tensor,
        noise: Tensor,
    ) -> tuple[Tensor, Tensor]:
        critic, target, actor = NetworkParameters(shared, own), _frozen(target, len(alpha)), _frozen(actor, len(alpha))
        return self.functions.critic_loss(tape, critic, target, actor, batch, alpha, noise)

    def _actor_losses(
        self,
        tape: dict[str, Tensor],
        shared: dict[str, Tensor],
        own: dict[str, Tensor],
        critic: NetworkParameters,
        observation: Tensor,
        alpha: Tensor,
        noise: Tensor,
    ) -> tuple[Tensor, Tensor]:
        frozen = _frozen(critic, len(alpha))
        return self.functions.actor_loss(tape, NetworkParameters(shared, own), frozen, observation, alpha, noise)

    def _direction(
        self,
        method: Method | CoordinateMethod,
        layout: Layout,
        collected: Collected,
        weights: Tensor | None,
        measure: bool,
    ) -> Direction:
        leaves, own, losses = collected
        gradients, gram = TaskGradients(leaves, leading=1), None
        if weights is None:
            shared, weights, gram = gradients.aggregate(method, losses)
        else:
            shared = gradients.combine(weights)
        if measure and gram is None:
            gram = gradients.gram()
        gradient = layout.flatten(NetworkParameters(shared, own), leading=1)
        if self.max_grad_norm is not None:
            norm = gradient.norm(dim=-1, keepdim=True)
            gradient = gradient * (self.max_grad_norm / norm.clamp(min=1e-12)).clamp(max=1)
        return Direction(gradient, losses, weights, gram)


def _collected(
    losses: Callable[..., Any], parameters: NetworkParameters, data: tuple[Any, ...], noise: Tensor
) -> tuple[Collected, Tensor]:
    """Of one replica; and the auxiliary tensor of its losses."""
    gradients, own, values, auxiliary = linear_task_gradients(
        losses, *parameters, *data, num_tasks=noise.shape[1], num_rows=noise.shape[2]
    )
    return Collected(gradients.leaves, own, values), auxiliary


def _frozen(parameters: NetworkParameters, num_tasks: int) -> NetworkParameters:
    return NetworkParameters(by_task(parameters.shared, num_tasks), parameters.own)
