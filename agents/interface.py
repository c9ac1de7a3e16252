"""The interface of learners.

Axes: `S` replicas (one a seed), `T` tasks, `E` environments, `B` batch per task, `O` observation, `A` action.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.func import vmap

from mtrl.agents.losses import Batch
from mtrl.agents.metrics import Metrics
from mtrl.gradients.autocast import outside_autocast


class ActorFunction(NamedTuple):
    """The deterministic policy of one replica, as a function of parameters."""

    shared: dict[str, Tensor]
    """Parameters of all tasks, by name."""
    own: dict[str, Tensor]
    """Parameters of single tasks, by name: `[T, ...]`, one slice a task."""
    action: Callable[[dict[str, Tensor], dict[str, Tensor], Tensor], Tensor]
    """`action(shared, one task's slice of own, observation [B, O])` gives `[B, A]` in (-1, 1)."""


class AnyLearner(Protocol):
    """Agents of several seeds side by side; see `mtrl.agents.Learner` for what the methods do."""

    @property
    def device(self) -> torch.device:
        """The device of all tensors."""

    @property
    def num_updates(self) -> int:
        """The number of updates so far."""

    def act(self, observation: Tensor, noise: Tensor | None = None) -> Tensor:
        """Actions `[S, T, E, A]` for `[S, T, E, O]`, deterministic without noise."""

    def actor_function(self, replica: int) -> ActorFunction:
        """The deterministic policy of one replica."""

    def observe(self, observation: Tensor) -> None:
        """Takes note of observations `[S, T, E, O]` that training has come to."""

    def update(self, batch: Batch) -> Metrics:
        """One update, with a batch `[S, T, B, ...]`."""

    def forget_conflicts(self) -> None:
        """What was measured of the gradients' conflicts is in the log: from here on it is summed anew."""

    def set_progress(self, share: float) -> None:
        """The share of the budget that is spent."""

    def state_dict(self, replica: int) -> dict[str, Any]:
        """The state of one replica; holds `num_updates`."""

    def load_state_dict(self, states: Sequence[Mapping[str, Any]]) -> None:
        """Inverse of `state_dict`, one a replica."""


@torch.no_grad()
@outside_autocast()
def act_alone(learner: AnyLearner, replica: int, observation: Tensor) -> Tensor:
    """Deterministic actions of one replica, `[T, E, O]` to `[T, E, A]`."""
    actor = learner.actor_function(replica)
    return vmap(actor.action, in_dims=(None, 0, 0))(actor.shared, actor.own, observation)
