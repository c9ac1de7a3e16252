"""Replay on the learner's device, balanced across tasks. Axes: `T` tasks, `E` environments, `B` batch per task."""

import numpy as np
import torch
from torch import Generator, Tensor

from agents.losses import Batch


class Replay:
    """The newest transitions of each task, drawn uniformly; rows that were never written are never drawn.

    Args:
        num_tasks: `T`.
        capacity_per_task: rows per task; rounded down to whole vector steps by `num_envs_per_task`.
        num_envs_per_task: `E`, rows of a task that one `add` writes.
        observation_size: `O`.
        action_size: `A`.
        device: where the rows are kept.
    """

    def __init__(
        self,
        num_tasks: int,
        capacity_per_task: int,
        num_envs_per_task: int,
        observation_size: int,
        action_size: int,
        device: torch.device,
    ) -> None:
        self.capacity = capacity_per_task // num_envs_per_task * num_envs_per_task
        if self.capacity == 0:
            raise ValueError(
                f"replay_capacity_per_task must be at least num_envs_per_task={num_envs_per_task}, "
                f"got {capacity_per_task}"
            )
        self.device = device
        self.written = 0  # rows per task ever written

        def rows(*shape: int) -> Tensor:
            return torch.zeros(num_tasks, self.capacity, *shape, device=device)

        self.rows = Batch(rows(observation_size), rows(action_size), rows(), rows(observation_size), rows())
        self._tasks = torch.arange(num_tasks, device=device)[:, None]

    def __len__(self) -> int:
        """Rows per task that can be drawn."""
        return min(self.written, self.capacity)

    def add(
        self,
        observation: np.ndarray,
        action: np.ndarray,
        reward: np.ndarray,
        next_observation: np.ndarray,
        terminated: np.ndarray,
    ) -> None:
        """Writes one vector step, `[T, E, ...]` each, in the order of `Batch`."""
        start = self.written % self.capacity
        for stored, new in zip(self.rows, (observation, action, reward, next_observation, terminated), strict=True):
            stored[:, start : start + new.shape[1]] = torch.as_tensor(new, dtype=torch.float32).to(self.device)
        self.written += observation.shape[1]

    def sample(self, batch_per_task: int, generator: Generator) -> Batch:
        """`batch_per_task` rows of every task with replacement, `[T, B, ...]`."""
        if not len(self):
            raise ValueError("the replay is empty: add transitions before sampling")
        shape = (len(self._tasks), batch_per_task)
        drawn = torch.randint(len(self), shape, generator=generator, device=self.device)
        return Batch(*(stored[self._tasks, drawn] for stored in self.rows))

    def state_dict(self) -> dict[str, object]:
        """The written rows."""
        return {"written": self.written, "rows": [stored[:, : len(self)].clone() for stored in self.rows]}

    def load_state_dict(self, state: dict) -> None:
        """Inverse of `state_dict`, for the same capacity."""
        self.written = state["written"]
        for stored, saved in zip(self.rows, state["rows"], strict=True):
            stored[:, : saved.shape[1]] = saved
