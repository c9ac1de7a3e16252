"""The losses of soft actor-critic (Haarnoja et al. 2018b) for one task: pure functions of parameters, batch, noise.

Axes: `B` rows, `O` observation, `A` action. `mtrl.gradients.linear_task_gradients` lifts them over tasks.
"""

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from agents.networks import Network, TwinCritic
from agents.policy import Gaussian, gaussian
from agents.values import ValueHead
from mtrl.gradients import Parameters, Tape


class Batch(NamedTuple):
    """Transitions; with leading axes `[S, T, B, ...]` (replicas, tasks) outside of the losses."""

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

    def policy(self, tape: Tape, shared: Parameters, own: Parameters, observation: Tensor) -> Gaussian:
        """The policy of one task at observations `[B, O]`."""
        return gaussian(self.actor(tape, shared, own, observation), self.log_std_min, self.log_std_max)

    def critic_loss(
        self,
        tape: Tape,
        shared: Parameters,
        own: Parameters,
        batch: Batch,
        target: tuple[Parameters, Parameters],
        actor: tuple[Parameters, Parameters],
        alpha: Tensor,
        noise: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Soft Bellman residual of the twin critics (eq. 5 and 6).

        Args:
            tape: see `mtrl.gradients.linear`.
            shared: of the critics.
            own: of the critics.
            batch: transitions; a truncated one bootstraps like any other.
            target: shared and own parameters of the target critics.
            actor: shared and own parameters of the actor.
            alpha: temperature, scalar.
            noise: standard normal, `[B, A]`; makes the next action, at the *next* observation.

        Returns:
            Loss, scalar; mean value of the batch, scalar.
        """
        next_action, log_density = self.policy({}, *actor, batch.next_observation).sample(noise)
        next_outputs = self.critic({}, *target, batch.next_observation, next_action)
        outputs = self.critic(tape, shared, own, batch.observation, batch.action)
        loss = self.value_head.loss(outputs, next_outputs, batch.reward, batch.discount, -alpha * log_density)
        return loss, self.value_head.value(outputs).mean()

    def actor_loss(
        self,
        tape: Tape,
        shared: Parameters,
        own: Parameters,
        observation: Tensor,
        critic: tuple[Parameters, Parameters],
        alpha: Tensor,
        noise: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Expected entropy-regularised value, negated (eq. 9).

        Args:
            tape: see `mtrl.gradients.linear`.
            shared: of the actor.
            own: of the actor.
            observation: `[B, O]`.
            critic: shared and own parameters of the critics.
            alpha: temperature, scalar.
            noise: standard normal, `[B, A]`.

        Returns:
            Loss, scalar; entropy (mean of minus the log density), scalar.
        """
        action, log_density = self.policy(tape, shared, own, observation).sample(noise)
        value = self.value_head.value(self.critic({}, *critic, observation, action))
        return (alpha * log_density - value).mean(), -log_density.mean()
