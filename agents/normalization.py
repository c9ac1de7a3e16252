"""Observations of each task, shifted and scaled by what was seen of it so far.

Axes: `S` replicas (one a seed), `T` tasks, `E` environments, `B` batch per task, `O` observation.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtrl.agents.config import EnvConfig
from mtrl.agents.interface import ActorFunction, AnyLearner
from mtrl.agents.losses import Batch
from mtrl.agents.metrics import Metrics
from mtrl.agents.ranks import ALONE, Ranks
from mtrl.envs import TaskInfo, is_metaworld
from mtrl.runs.loading import copy_checked

LIMIT = 10.0
"""In deviations; further off counts as this far, as in Stable-Baselines3's `VecNormalize`."""
_SMALLEST = 1e-8  # added to a variance, likewise
_SHIFT, _SCALE, _LEAST, _MOST = "observation.mean", "observation.scale", "observation.least", "observation.most"


def normalized_numbers(section: EnvConfig, infos: Sequence[TaskInfo], observation_size: int) -> np.ndarray:
    """Which numbers of which tasks are normalised, bool `[T, O]`: no padding, and no one-hot vector."""
    chosen = {"all": lambda name: True, "none": lambda name: False, "auto": lambda name: not is_metaworld(name)}
    is_chosen = [chosen[section.normalized_observations](info.name) for info in infos]
    return np.array(
        [(np.arange(observation_size) < i.observation) & on for i, on in zip(infos, is_chosen, strict=True)]
    )


def refuse_normalized(states: Sequence[Mapping[str, Any]]) -> None:
    """Refuses states of a `NormalizingLearner`, for a learner that sees observations as they are.

    Raises:
        ValueError: one of them is.
    """
    if any("observations" in state for state in states):
        raise ValueError("its agent saw normalised observations: env.normalized_observations is another here")


class NormalizingLearner:
    """A learner that sees observations `(x - mean) / deviation`, both of all that `observe` was given of their task.

    Replay and simulators have them as they are: a transition is seen by what is known when it is sampled. Methods are
    those of `mtrl.agents.Learner`.

    Args:
        learner: that learns.
        numbers: which are normalised, bool `[T, O]`.
        num_seeds: `S`.
        ranks: that learn together: batches are of this one's tasks, all else is of all.
    """

    def __init__(self, learner: AnyLearner, numbers: np.ndarray, num_seeds: int, ranks: Ranks = ALONE) -> None:
        self.learner, self.device, self._own = learner, learner.device, ranks.own(len(numbers))
        self._numbers = torch.as_tensor(numbers, device=self.device)[:, None]  # [T, 1, O]
        shape = num_seeds, *self._numbers.shape
        # float64: sums of many millions of squares.
        self.count = torch.zeros(num_seeds, 1, 1, 1, dtype=torch.float64, device=self.device)
        self.mean, self.square = (torch.zeros(shape, dtype=torch.float64, device=self.device) for _ in range(2))
        self._read()

    @property
    def num_updates(self) -> int:
        """See `Learner`."""
        return self.learner.num_updates

    def observe(self, observation: Tensor) -> None:
        """Observations `[S, T, E, O]` join what is known (Chan et al. 1979, eq. 2.1)."""
        seen = observation.double()
        number = seen.shape[2]
        total = self.count + number
        mean = seen.mean(2, keepdim=True)
        apart = mean - self.mean
        self.square += ((seen - mean) ** 2).sum(2, keepdim=True) + apart**2 * (self.count * number / total)
        self.mean += apart * (number / total)
        self.count = total
        self._read()

    def act(self, observation: Tensor, noise: Tensor | None = None) -> Tensor:
        """See `Learner`."""
        return self.learner.act(self._seen(observation), noise)

    def actor_function(self, replica: int) -> ActorFunction:
        """See `Learner`; what is known of a task's observations now is among its own tensors."""
        actor = self.learner.actor_function(replica)
        known = (_SHIFT, _SCALE, _LEAST, _MOST)
        parts = (self._shift[replica, :, 0], self._scale[replica, :, 0], *(x[:, 0] for x in self._range))

        def action(shared: dict[str, Tensor], own: dict[str, Tensor], observation: Tensor) -> Tensor:
            shift, scale, least, most = (own[name] for name in known)
            seen = ((observation - shift) * scale).clamp(least, most)
            return actor.action(shared, {name: t for name, t in own.items() if name not in known}, seen)

        return ActorFunction(actor.shared, actor.own | dict(zip(known, parts, strict=True)), action)

    def update(self, batch: Batch) -> Metrics:
        """See `Learner`."""
        seen = self._seen(batch.observation, self._own), self._seen(batch.next_observation, self._own)
        return self.learner.update(batch._replace(observation=seen[0], next_observation=seen[1]))

    def forget_conflicts(self) -> None:
        """See `Learner`."""
        self.learner.forget_conflicts()

    def set_progress(self, share: float) -> None:
        """See `Learner`."""
        self.learner.set_progress(share)

    def state_dict(self, replica: int) -> dict[str, Any]:
        """The learner's, and what is known of observations."""
        known = [tensor[replica].clone() for tensor in (self.count, self.mean, self.square)]
        return {**self.learner.state_dict(replica), "observations": known}

    def load_state_dict(self, states: Sequence[Mapping[str, Any]]) -> None:
        """Inverse of `state_dict`, one a replica."""
        inner = [{name: part for name, part in state.items() if name != "observations"} for state in states]
        self.learner.load_state_dict(inner)
        for replica, state in enumerate(states):
            known = [tensor[replica] for tensor in (self.count, self.mean, self.square)]
            copy_checked("observations", known, state["observations"])
        self._read()

    def _read(self) -> None:
        """Shift and scale, float32 `[S, T, 1, O]`, of numbers that are normalised; the others stay as they are."""
        variance = self.square / self.count.clamp(min=1)
        self._shift = torch.where(self._numbers, self.mean, 0.0).float()
        self._scale = torch.where(self._numbers & (self.count > 0), (variance + _SMALLEST).rsqrt(), 1.0).float()
        far = torch.where(self._numbers, LIMIT, torch.inf).float()  # [T, 1, O]
        self._range = -far, far

    def _seen(self, observation: Tensor, tasks: slice = slice(None)) -> Tensor:
        least, most = (limit[tasks] for limit in self._range)
        return ((observation - self._shift[:, tasks]) * self._scale[:, tasks]).clamp(least, most)
