"""What a training asks of its learner, and which learner a configuration names.

Axes: `S` replicas (one a seed), `T` tasks, `E` environments, `B` batch per task, `O` observation, `A` action.
"""

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.func import vmap

from mtrl.agents.config import Config
from mtrl.agents.losses import Batch
from mtrl.agents.metrics import Metrics


class ActorFunction(NamedTuple):
    """The deterministic policy of one replica, as a function of parameters."""

    shared: dict[str, Tensor]
    """Of all tasks."""
    own: dict[str, Tensor]
    """`[T, ...]`, one slice a task."""
    action: Callable[[dict[str, Tensor], dict[str, Tensor], Tensor], Tensor]
    """Of shared parameters, one task's slice of its own, and observations `[B, O]`; gives `[B, A]` in (-1, 1)."""


class AnyLearner(Protocol):
    """Agents of several seeds side by side; see `mtrl.agents.Learner` for what the methods do."""

    @property
    def device(self) -> torch.device:
        """Of all tensors."""

    @property
    def num_updates(self) -> int:
        """So far."""

    def act(self, observation: Tensor, noise: Tensor | None = None) -> Tensor:
        """Actions `[S, T, E, A]` for `[S, T, E, O]`, deterministic without noise."""

    def actor_function(self, replica: int) -> ActorFunction:
        """The deterministic policy of one replica."""

    def update(self, batch: Batch) -> Metrics:
        """One update, with a batch `[S, T, B, ...]`."""

    def forget_conflicts(self) -> None:
        """The log has them."""

    def set_progress(self, share: float) -> None:
        """The share of the budget that is spent."""

    def state_dict(self, replica: int) -> dict[str, Any]:
        """Of one replica; holds `num_updates`."""

    def load_state_dict(self, states: Sequence[Mapping[str, Any]]) -> None:
        """Inverse of `state_dict`, one a replica."""


@torch.no_grad()
def act_alone(learner: AnyLearner, replica: int, observation: Tensor) -> Tensor:
    """Deterministic actions of one replica, `[T, E, O]` to `[T, E, A]`."""
    actor = learner.actor_function(replica)
    return vmap(actor.action, in_dims=(None, 0, 0))(actor.shared, actor.own, observation)


def make_learner(
    config: Config,
    num_tasks: int,
    observation_size: int,
    action_size: int,
    device: torch.device,
    seeds: Sequence[int],
) -> AnyLearner:
    """The learner that `agent.single_task` names; arguments as for `mtrl.agents.Learner`."""
    arguments = config, num_tasks, observation_size, action_size, device, seeds
    match config.agent.single_task:
        case "none":
            from mtrl.agents.learner import Learner

            return Learner(*arguments)
        case "ours":
            from mtrl.agents.single_task import SingleTaskLearner

            return SingleTaskLearner(*arguments)
        case "stable_baselines3":
            from mtrl.agents.single_task_sb3 import StableBaselines3Learner

            return StableBaselines3Learner(*arguments)


def check_installed(config: Config) -> None:
    """Say now that a package is missing, before anything is written.

    Raises:
        ModuleNotFoundError: names the extra.
    """
    if config.agent.single_task == "stable_baselines3" and find_spec("stable_baselines3") is None:
        raise ModuleNotFoundError(
            "agent.single_task=stable_baselines3 needs stable-baselines3: pip install -e '.[baselines]'",
            name="stable_baselines3",
        )
