"""One update of multi-task soft actor-critic (Haarnoja et al. 2018b, algorithm 1), the tasks' gradients aggregated.

Axes: `S` replicas (one a seed), `T` tasks, `B` batch per task, `A` action, `P` parameters.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mtrl.agents.component import Component
from mtrl.agents.config import AgentConfig
from mtrl.agents.losses import Batch
from mtrl.agents.metrics import Metrics


@dataclass(frozen=True)
class Update:
    """Moves critics, actors, temperatures and target critics by one batch, in this order.

    Attributes:
        config: rates, and how often the actor moves.
        critic: the twin critics.
        actor: the policies.
        target: parameters of the target critics, `[S, P]`.
        log_alpha: logarithms of the temperatures, `[S, T]`, or `[S, 1]` if the tasks share one.
        temperature_optimizer: of these.
        mask: 1 for the numbers that a task's action has and 0 for those behind them, `[S, T, A]`.
        target_entropy: of the policies, `[S, T]`.
    """

    config: AgentConfig
    critic: Component
    actor: Component
    target: Tensor
    log_alpha: Tensor
    temperature_optimizer: torch.optim.Optimizer
    mask: Tensor
    target_entropy: Tensor

    def __call__(self, batch: Batch, noise: Callable[[Sequence[int]], Tensor], count: int) -> Metrics:
        """One update.

        Args:
            batch: `[S, T, B, ...]`, rewards scaled; over ranks of this one's tasks.
            noise: draws standard normal numbers `[S, *shape]`.
            count: of the updates before; the actor and the temperatures move with every `actor_every`-th.

        Returns:
            Metrics; those of the actor are its last step's.
        """
        shape, every = (self.mask.shape[1], *batch.action.shape[2:]), self.config.actor_every
        begun = count - count % self.config.reset_every_updates if self.config.reset_every_updates else 0
        alpha = self.log_alpha.detach().exp().expand(-1, shape[0])  # [S, T]
        critic, value = self.critic.step(
            (self.target, self.actor.vector), (batch, alpha, self.mask, noise(shape)), count, begun
        )
        last = self.actor.last
        if last is None or count % every == 0:
            last = self.actor.step(
                (self.critic.vector,),
                (batch.observation, alpha, self.mask, noise(shape)),
                count // every,
                -(-begun // every),
            )
            self._step_temperatures(last.told)
        with torch.no_grad():
            self.target.lerp_(self.critic.vector, self.config.target_rate)
        actor, entropy = last
        return Metrics(critic, actor, value, entropy, alpha, self.critic.residual, self.actor.residual)

    def _step_temperatures(self, entropy: Tensor) -> None:
        """Haarnoja et al. 2018b, eq. 18, in log(alpha) as every public code has it; `entropy` is `[S, T]`."""
        excess = entropy - self.target_entropy
        self.log_alpha.grad = excess if self.config.temperature == "per_task" else excess.mean(-1, keepdim=True)
        self.temperature_optimizer.step()
