"""The losses of soft actor-critic (Haarnoja et al. 2018b), one a task: pure functions of parameters, batch and noise.

Axes: `T` tasks, `B` rows of a task, `O` observation, `A` action, `N` outputs of a critic. Networks and value heads are
written for one task; `over_tasks` and `vmap` lift them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.func import vmap
from torch.nn import functional

from mtrl.agents.config import AgentConfig
from mtrl.agents.networks import Network, NetworkParameters, TwinCritic, make_network
from mtrl.agents.values import ValueHead, make_value_head
from mtrl.gradients import Parameters, Tape, over_tasks


class Batch(NamedTuple):
    """Transitions, `[T, B, ...]` in the losses, `[S, T, B, ...]` (replicas) outside."""

    observation: Tensor
    """`[B, O]`"""
    action: Tensor
    """`[B, A]`, in (-1, 1); 0 behind the numbers of the task's own."""
    reward: Tensor
    """`[B]`, scaled; the discounted sum of several for n-step returns."""
    next_observation: Tensor
    """`[B, O]`, what the rewards led to: the true successor, also where the episode was truncated."""
    discount: Tensor
    """`[B]`, factor of the next value: `gamma^n` after `n` steps; 0 where the task itself ended the episode, never
    because of a time limit."""


class Gaussian(NamedTuple):
    """The tanh-Gaussian policy (Haarnoja et al. 2018, appendix C): a diagonal Gaussian before the tanh."""

    mean: Tensor
    """`[..., A]`"""
    log_std: Tensor
    """`[..., A]`"""

    def sample(self, noise: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Squashed action and its log density.

        Args:
            noise: standard normal, `[..., A]`.
            mask: 1 for the numbers that the task's action has and 0 for those behind them, `[..., A]`.

        Returns:
            Action in (-1, 1), `[..., A]`, 0 behind its own numbers; log density of these, `[...]`.
        """
        before = self.mean + self.log_std.exp() * noise
        log_normal = -0.5 * noise**2 - self.log_std - 0.5 * math.log(2 * math.pi)
        # log(1 - tanh(u)^2), written so that it does not overflow or lose digits for large |u|.
        log_slope = 2 * (math.log(2) - before - functional.softplus(-2 * before))
        return before.tanh() * mask, ((log_normal - log_slope) * mask).sum(-1)

    @property
    def mode(self) -> Tensor:
        """The deterministic action, `[..., A]`."""
        return self.mean.tanh()


@dataclass(frozen=True)
class SoftActorCritic:
    """The networks, and the losses as functions of their parameters.

    Parameters are given as `NetworkParameters.of_tasks` makes them, or as `mtrl.gradients.linear_task_gradients` hands
    them to a loss. A loss leaves the inputs of the layers that it is differentiated by on the tape.
    """

    actor: Network
    critic: TwinCritic
    value_head: ValueHead
    log_std_min: float
    log_std_max: float

    def policy(self, tape: Tape, shared: Parameters, own: Parameters, observation: Tensor) -> Gaussian:
        """The policies of all tasks at observations `[T, B, O]`."""
        return self.gaussian(over_tasks(self.actor)(tape, shared, own, observation))

    def gaussian(self, outputs: Tensor) -> Gaussian:
        """The policy that outputs of the actor `[..., 2A]` describe; a tanh keeps its log deviation in its range."""
        mean, raw = outputs.chunk(2, -1)
        return Gaussian(mean, self.log_std_min + 0.5 * (self.log_std_max - self.log_std_min) * (torch.tanh(raw) + 1))

    def critic_loss(
        self,
        tape: Tape,
        shared: Parameters,
        own: Parameters,
        frozen: Sequence[NetworkParameters],
        batch: Batch,
        alpha: Tensor,
        mask: Tensor,
        noise: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Soft Bellman residual of the twin critics (eq. 5 and 6).

        Args:
            tape: see `mtrl.gradients.linear`.
            shared: parameters of the critics.
            own: likewise.
            frozen: parameters of the target critics and of the policy.
            batch: transitions `[T, B, ...]`; a truncated one bootstraps like any other.
            alpha: temperatures, `[T]`.
            mask: 1 for the numbers that a task's action has, else 0, `[T, A]`.
            noise: standard normal, `[T, B, A]`; makes the next action, at the *next* observation.

        Returns:
            Losses `[T]`; mean values of the batch `[T]`.
        """
        target, actor = frozen
        policy = self.policy({}, *actor, batch.next_observation)
        next_action, log_density = policy.sample(noise, mask.unsqueeze(-2))  # [T, B, A], [T, B]
        next_outputs = self.critic({}, *target, batch.next_observation, next_action)  # [2, T, B, N]
        outputs = self.critic(tape, shared, own, batch.observation, batch.action)  # [2, T, B, N]
        bonus = -alpha.unsqueeze(-1) * log_density  # [T, B]
        of_tasks = vmap(self.value_head.loss, in_dims=(1, 1, 0, 0, 0))
        losses = of_tasks(outputs, next_outputs, batch.reward, batch.discount, bonus)  # [T]
        return losses, self._value(outputs).mean(-1)

    def actor_loss(
        self,
        tape: Tape,
        shared: Parameters,
        own: Parameters,
        frozen: Sequence[NetworkParameters],
        observation: Tensor,
        alpha: Tensor,
        mask: Tensor,
        noise: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Expected entropy-regularised value, negated (eq. 9); arguments as in `critic_loss`, frozen are the critics.

        Returns:
            Losses `[T]`; entropies (mean of minus the log density) `[T]`.
        """
        (critic,) = frozen
        policy = self.policy(tape, shared, own, observation)
        action, log_density = policy.sample(noise, mask.unsqueeze(-2))  # [T, B, A], [T, B]
        value = self._value(self.critic({}, *critic, observation, action))  # [T, B]
        return (alpha.unsqueeze(-1) * log_density - value).mean(-1), -log_density.mean(-1)

    def _value(self, outputs: Tensor) -> Tensor:
        """`[2, T, B, N]` to `[T, B]`."""
        of_tasks: Tensor = vmap(self.value_head.value, in_dims=1)(outputs)
        return of_tasks


def soft_actor_critic(
    config: AgentConfig, observation_size: int, action_size: int, precision: torch.dtype
) -> SoftActorCritic:
    """The networks and losses that a configuration describes; `precision` is of the matrix products."""
    value_head, conditioning = make_value_head(config), config.conditioning
    actor = make_network(config.actor, conditioning, observation_size, 2 * action_size, 0.01, precision)
    num_inputs, num_outputs = observation_size + action_size, value_head.num_outputs
    critic = make_network(config.critic, conditioning, num_inputs, num_outputs, 1.0, precision)
    return SoftActorCritic(actor, TwinCritic(critic), value_head, config.log_std_min, config.log_std_max)
