"""The losses of soft actor-critic (Haarnoja et al. 2018b), one a task: pure functions of parameters, batch and noise.

Axes: `T` tasks, `B` rows of a task, `O` observation, `A` action. Networks and value heads are written for one task.
"""

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor
from torch.func import vmap

from mtrl.agents.networks import Network, NetworkParameters, TwinCritic
from mtrl.agents.policy import Gaussian, gaussian
from mtrl.agents.values import ValueHead
from mtrl.gradients import Tape, over_tasks


class Batch(NamedTuple):
    """Transitions, `[T, B, ...]` in the losses, `[S, T, B, ...]` (replicas) outside."""

    observation: Tensor
    """`[B, O]`"""
    action: Tensor
    """`[B, A]`, in (-1, 1)."""
    reward: Tensor
    """`[B]`, scaled; the discounted sum of several for n-step returns."""
    next_observation: Tensor
    """`[B, O]`, what the rewards led to: the true successor, also where the episode was truncated."""
    discount: Tensor
    """`[B]`, factor of the next value: `gamma^n` after `n` steps; 0 where the task itself ended the episode, never
    because of a time limit."""


@dataclass(frozen=True)
class SoftActorCritic:
    """The functions that the losses are made of."""

    actor: Network
    critic: TwinCritic
    value_head: ValueHead
    log_std_min: float
    log_std_max: float

    def policy(self, tape: Tape, actor: NetworkParameters, observation: Tensor) -> Gaussian:
        """The policies of all tasks at observations `[T, B, O]`; `actor` as `critic` in `critic_loss`."""
        return self.gaussian(over_tasks(self.actor)(tape, actor.shared, actor.own, observation))

    def gaussian(self, outputs: Tensor) -> Gaussian:
        """What outputs of the actor, `[..., 2A]`, mean."""
        return gaussian(outputs, self.log_std_min, self.log_std_max)

    def critic_loss(
        self,
        tape: Tape,
        critic: NetworkParameters,
        target: NetworkParameters,
        actor: NetworkParameters,
        batch: Batch,
        alpha: Tensor,
        noise: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Soft Bellman residual of the twin critics (eq. 5 and 6).

        Args:
            tape: see `mtrl.gradients.linear`.
            critic: the shared parameters as `mtrl.gradients.by_task` gives them.
            target: of the target critics, likewise.
            actor: likewise.
            batch: transitions `[T, B, ...]`; a truncated one bootstraps like any other.
            alpha: temperatures, `[T]`.
            noise: standard normal, `[T, B, A]`; makes the next action, at the *next* observation.

        Returns:
            Losses `[T]`; mean values of the batch `[T]`.
        """
        next_action, log_density = self.policy({}, actor, batch.next_observation).sample(noise)
        next_outputs = self.critic({}, *target, batch.next_observation, next_action)  # [2, T, B, N]
        outputs = self.critic(tape, *critic, batch.observation, batch.action)
        bonus = -alpha.unsqueeze(-1) * log_density
        of_tasks = vmap(self.value_head.loss, in_dims=(1, 1, 0, 0, 0))
        losses = of_tasks(outputs, next_outputs, batch.reward, batch.discount, bonus)
        return losses, self._value(outputs).mean(-1)

    def actor_loss(
        self,
        tape: Tape,
        actor: NetworkParameters,
        critic: NetworkParameters,
        observation: Tensor,
        alpha: Tensor,
        noise: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Expected entropy-regularised value, negated (eq. 9); arguments as in `critic_loss`.

        Returns:
            Losses `[T]`; entropies (mean of minus the log density) `[T]`.
        """
        action, log_density = self.policy(tape, actor, observation).sample(noise)
        value = self._value(self.critic({}, *critic, observation, action))
        return (alpha.unsqueeze(-1) * log_density - value).mean(-1), -log_density.mean(-1)

    def _value(self, outputs: Tensor) -> Tensor:
        """`[2, T, B, N]` to `[T, B]`."""
        of_tasks: Tensor = vmap(self.value_head.value, in_dims=1)(outputs)
        return of_tasks
