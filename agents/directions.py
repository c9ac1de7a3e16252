"""The parts of an update that are compiled: gradients of every task, aggregated into one direction per component.

Axes: `S` replicas (seeds side by side), `T` tasks, `B` batch per task, `O` observation, `A` action.
"""

from __future__ import annotations  # evaluated annotations of inner functions break compiled graphs

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.func import vmap

from agents.losses import Batch, SoftActorCritic
from agents.metrics import ComponentMetrics
from agents.networks import NetworkParameters
from mtrl.aggregation import CoordinateMethod, Method
from mtrl.conflict import conflict_rate, cosines, norms
from mtrl.gradients import TaskGradients, linear_task_gradients


class Direction(NamedTuple):
    """A step's gradients for one component, and what is logged of it."""

    shared: dict[str, Tensor]
    """`[S, *shape]`"""
    own: dict[str, Tensor]
    """`[S, T, *shape]`"""
    metrics: ComponentMetrics


class Policies(NamedTuple):
    """What the critic's loss reads and does not move."""

    target: NetworkParameters
    actor: NetworkParameters


@dataclass(frozen=True)
class Directions:
    """The directions of critic and actor, for all replicas at once.

    Attributes:
        functions: networks and losses of one task.
        critic_method: aggregates the critic's gradients; its state moves on when no weights are given.
        actor_method: the actor's.
        max_grad_norm: the gradients of a replica's component are clipped to this norm; None for not.
    """

    functions: SoftActorCritic
    critic_method: Method | CoordinateMethod
    actor_method: Method | CoordinateMethod
    max_grad_norm: float | None

    def critic(
        self,
        critic: NetworkParameters,
        frozen: Policies,
        batch: Batch,
        alpha: Tensor,
        noise: Tensor,
        weights: Tensor | None,
    ) -> tuple[Direction, Tensor]:
        """The critics' direction.

        Args:
            critic: shared parameters `[S, *shape]`, own ones `[S, T, *shape]`.
            frozen: target critics and actor.
            batch: `[S, T, B, ...]`.
            alpha: temperatures, `[S, T]`.
            noise: standard normal, `[S, T, B, A]`.
            weights: `[S, T]`, of an earlier call, to be used once more; None for new ones.

        Returns:
            The direction; mean critic values `[S, T]`.
        """

        def of_one_replica(critic, target, actor, *data):  # type: ignore[no-untyped-def]
            loss = self._critic_loss(target, actor)
            return _leaves(loss, critic, *data, target.own, actor.own, num_rows=noise.shape[-2])

        gradients, own, losses, value = vmap(of_one_replica)(critic, *frozen, batch, alpha, noise)
        return self._direction(self.critic_method, gradients, own, losses, weights), value

    def actor(
        self,
        actor: NetworkParameters,
        critic: NetworkParameters,
        observation: Tensor,
        alpha: Tensor,
        noise: Tensor,
        weights: Tensor | None,
    ) -> tuple[Direction, Tensor]:
        """The actor's direction; arguments as for `critic`.

        Returns:
            The direction; entropies of the policy `[S, T]`.
        """

        def of_one_replica(actor, critic, *data):  # type: ignore[no-untyped-def]
            def loss(tape, shared, own, observation, alpha, noise, critic_own):  # type: ignore[no-untyped-def]
                frozen = critic.shared, critic_own
                return self.functions.actor_loss(tape, shared, own, observation, frozen, alpha, noise)

            return _leaves(loss, actor, *data, critic.own, num_rows=noise.shape[-2])

        gradients, own, losses, entropy = vmap(of_one_replica)(actor, critic, observation, alpha, noise)
        return self._direction(self.actor_method, gradients, own, losses, weights), entropy

    @torch.no_grad()
    def critic_losses(
        self, critic: NetworkParameters, frozen: Policies, batch: Batch, alpha: Tensor, noise: Tensor
    ) -> Tensor:
        """`[S, T]`"""

        def of_one_replica(critic, target, actor, *data):  # type: ignore[no-untyped-def]
            def of_one_task(own, *data):  # type: ignore[no-untyped-def]
                value, _ = self._critic_loss(target, actor)({}, critic.shared, own, *data)
                return value

            return vmap(of_one_task)(critic.own, *data, target.own, actor.own)

        return vmap(of_one_replica)(critic, *frozen, batch, alpha, noise)

    def _critic_loss(self, target: NetworkParameters, actor: NetworkParameters) -> Any:
        """The loss of one task."""

        def loss(tape, shared, own, batch, alpha, noise, target_own, actor_own):  # type: ignore[no-untyped-def]
            frozen = (target.shared, target_own), (actor.shared, actor_own)
            return self.functions.critic_loss(tape, shared, own, batch, *frozen, alpha, noise)

        return loss

    def _direction(
        self,
        method: Method | CoordinateMethod,
        leaves: Mapping[str, Any],
        own: dict[str, Tensor],
        losses: Tensor,
        weights: Tensor | None,
    ) -> Direction:
        gradients = TaskGradients(leaves, leading=1)
        if weights is None:
            shared, weights, gram = gradients.aggregate(method, losses)
            metrics = ComponentMetrics(losses, weights, norms(gram), conflict_rate(gram), cosines(gram))
        else:
            unknown = torch.full_like(losses, torch.nan)
            pairs = unknown.unsqueeze(-1).expand(*unknown.shape, unknown.shape[-1])
            metrics = ComponentMetrics(losses, weights, unknown, unknown[..., 0], pairs)
            shared = gradients.combine(weights)
        if self.max_grad_norm is not None:
            shared, own = _clipped(self.max_grad_norm, shared, own)
        return Direction(shared, own, metrics)


def _leaves(loss, parameters, *data, num_rows):  # type: ignore[no-untyped-def]
    gradients, own, losses, auxiliary = linear_task_gradients(
        loss, parameters.shared, parameters.own, *data, num_rows=num_rows
    )
    return gradients.leaves, own, losses, auxiliary


def _clipped(max_norm: float, *groups: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    """The gradients of each replica, all groups together, brought to this norm where theirs is larger."""
    squares = [x.flatten(1).square().sum(1) for group in groups for x in group.values()]
    factor = (max_norm / torch.stack(squares).sum(0).sqrt().clamp(min=1e-12)).clamp(max=1)
    return [{name: x * factor.view(-1, *(1 for _ in x.shape[1:])) for name, x in group.items()} for group in groups]
