"""Agents of their own for every task: the single-task baseline.

Axes: `S` replicas (one a seed), `T` tasks, `E` environments, `B` batch per task, `O` observation, `A` action.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mtrl.agents.config import Config
from mtrl.agents.interface import ActorFunction
from mtrl.agents.learner import Learner
from mtrl.agents.losses import Batch
from mtrl.agents.metrics import Conflict, Metrics
from mtrl.agents.normalization import refuse_normalized
from mtrl.agents.seeds import task_seeds
from mtrl.nested import map_leaves


class SingleTaskLearner:
    """`S x T` agents of one task each, trained side by side as the replicas of a `Learner`.

    Arguments and methods are those of `Learner`.
    """

    def __init__(
        self,
        config: Config,
        num_tasks: int,
        observation_size: int,
        action_size: int,
        device: torch.device,
        seeds: Sequence[int],
        action_sizes: Sequence[Sequence[int]] | None = None,
    ) -> None:
        self.num_seeds, self.num_tasks = len(seeds), num_tasks
        own_seeds = [number for seed in seeds for number in task_seeds(seed, num_tasks)]
        own_sizes = action_sizes and [[size] for sizes in action_sizes for size in sizes]
        self.learner = Learner(config, 1, observation_size, action_size, device, own_seeds, own_sizes)

    @property
    def device(self) -> torch.device:
        """The device of all tensors."""
        return self.learner.device

    @property
    def num_updates(self) -> int:
        """The number of updates of each agent."""
        return self.learner.num_updates

    def act(self, observation: Tensor, noise: Tensor | None = None) -> Tensor:
        """See `Learner`."""
        return self._unfold(self.learner.act(_fold(observation), None if noise is None else _fold(noise)))

    def actor_function(self, replica: int) -> ActorFunction:
        """See `Learner`; all parameters are some task's own."""
        agents = slice(replica * self.num_tasks, (replica + 1) * self.num_tasks)
        shared, own = self.learner.actor.parameters
        both = {name: t[agents] for name, t in shared.items()} | {name: t[agents, 0] for name, t in own.items()}
        padding = self.learner.padding(agents)
        function = self.learner.mean_action

        def action(_: dict[str, Tensor], parameters: dict[str, Tensor], observation: Tensor) -> Tensor:
            return function(
                {name: parameters[name] for name in shared},
                {name: parameters[name] for name in (*own, *padding)},
                observation,
            )

        return ActorFunction({}, both | padding, action)

    def observe(self, observation: Tensor) -> None:
        """See `Learner`."""

    def update(self, batch: Batch) -> Metrics:
        """See `Learner`."""
        metrics = map_leaves(lambda x: x.view(self.num_seeds, self.num_tasks), self.learner.update(_fold(batch)))
        critic, actor = (c._replace(conflict=_joined(c.conflict)) for c in (metrics.critic, metrics.actor))
        result: Metrics = metrics._replace(
            critic=critic,
            actor=actor,
            critic_residual=metrics.critic_residual.amax(-1),
            actor_residual=metrics.actor_residual.amax(-1),
        )
        return result

    def forget_conflicts(self) -> None:
        """See `Learner`."""
        self.learner.forget_conflicts()

    def set_progress(self, share: float) -> None:
        """See `Learner`."""
        self.learner.set_progress(share)

    def state_dict(self, replica: int) -> dict[str, Any]:
        """The states of the agents of one seed."""
        agents = range(replica * self.num_tasks, (replica + 1) * self.num_tasks)
        return {"num_updates": self.num_updates, "tasks": [self.learner.state_dict(agent) for agent in agents]}

    def load_state_dict(self, states: Sequence[Mapping[str, Any]]) -> None:
        """Inverse of `state_dict`, one a seed."""
        refuse_normalized(states)
        self.learner.load_state_dict([task for state in states for task in state["tasks"]])

    def _unfold(self, x: Tensor) -> Tensor:
        return x.view(self.num_seeds, self.num_tasks, *x.shape[2:])


def _joined(conflict: Conflict) -> Conflict:
    """The conflicts of a seed from those of its agents `[S, T]`, which know one task each: none is between tasks."""
    measurements, gradient_norm, conflict_rate, cosines = conflict
    return Conflict(measurements.mean(-1), gradient_norm, conflict_rate.mean(-1), torch.diag_embed(cosines))


def _fold(tree: Any) -> Any:
    """Tensors `[S, T, ...]` as `[S T, 1, ...]`."""
    return map_leaves(lambda x: x.flatten(0, 1)[:, None], tree)
