"""Replay on the learner's device, balanced across tasks.

Axes: `S` replicas (one a seed), `T` tasks, `E` environments, `B` batch per task.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Generator, Tensor

from mtrl.agents.losses import Batch
from mtrl.agents.ranks import ALONE, Ranks
from mtrl.runs.loading import copy_checked, whole


class Rows(NamedTuple):
    """The transitions that are kept, `[S, T, capacity, ...]`; a vector step's `E` rows of a task lie side by side."""

    observation: Tensor
    action: Tensor
    reward: Tensor
    next_observation: Tensor
    """The true successor: it cannot be taken from the next row, which is another episode's where one was truncated."""
    terminated: Tensor
    """1 where the task itself ended the episode; never because of a time limit."""
    done: Tensor
    """1 where the episode ended, for whatever reason."""


class Replay:
    """The newest transitions of each task, drawn uniformly; rows that were never written are never drawn.

    Args:
        num_replicas: `S`.
        num_tasks: `T`.
        capacity_per_task: rows per task; rounded down to whole vector steps by `num_envs_per_task`.
        num_envs_per_task: `E`, rows of a task that one `add` writes.
        observation_size: `O`.
        action_size: `A`.
        device: where the rows are kept.
        discount: per step.
        num_steps: of rewards that a sampled transition sums up before it bootstraps (n-step returns). It ends earlier
            where the episode does, or where nothing newer is kept.
        ranks: each keeps the rows of its own tasks alone; rows and draws are given for all.
    """

    def __init__(
        self,
        *,
        num_replicas: int,
        num_tasks: int,
        capacity_per_task: int,
        num_envs_per_task: int,
        observation_size: int,
        action_size: int,
        device: torch.device,
        discount: float,
        num_steps: int = 1,
        ranks: Ranks = ALONE,
    ) -> None:
        self.capacity = capacity_per_task // num_envs_per_task * num_envs_per_task
        if self.capacity == 0:
            raise ValueError(
                f"replay_capacity_per_task must be at least num_envs_per_task={num_envs_per_task}, "
                f"got {capacity_per_task}"
            )
        self.device, self.discount, self.num_steps = device, discount, num_steps
        self._num_envs, self._num_tasks, self._ranks = num_envs_per_task, num_tasks, ranks
        self._own = ranks.own(num_tasks)
        num_own = self._own.stop - self._own.start
        self.written = 0  # rows per task ever written

        def rows(*shape: int) -> Tensor:
            return torch.zeros(num_replicas, num_own, self.capacity, *shape, device=device)

        self.rows = Rows(rows(observation_size), rows(action_size), rows(), rows(observation_size), rows(), rows())
        self._replicas = torch.arange(num_replicas, device=device)[:, None, None]
        self._tasks = torch.arange(num_own, device=device)[:, None]

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
        done: np.ndarray,
    ) -> None:
        """Writes one vector step of every replica, `[S, T, E, ...]` each, in the order of `Rows`."""
        start = self.written % self.capacity
        new_rows = observation, action, reward, next_observation, terminated, done
        for stored, new in zip(self.rows, new_rows, strict=True):
            own = torch.as_tensor(new[:, self._own], dtype=torch.float32).to(self.device)
            stored[:, :, start : start + self._num_envs] = own
        self.written += self._num_envs

    def sample(self, batch_per_task: int, generators: Sequence[Generator]) -> Batch:
        """`batch_per_task` transitions of every own task with replacement, `[S, T, B, ...]`; a generator a replica."""
        if not len(self):
            raise ValueError("the replay is empty: add transitions before sampling")
        shape = (self._num_tasks, batch_per_task)
        drawn = [torch.randint(len(self), shape, generator=g, device=self.device)[self._own] for g in generators]
        first = last = torch.stack(drawn)  # [S, T, B], places in the ring
        reward, going, discount = self._at("reward", first), 1 - self._at("done", first), self.discount
        factor = torch.full_like(reward, self.discount)
        oldest = self.written % self.capacity if self.written > self.capacity else 0
        age = (first - oldest) % self.capacity  # rows older than this one
        for step in range(1, self.num_steps):
            later = (first + step * self._num_envs) % self.capacity
            going = going * (age + step * self._num_envs < len(self))
            reward = reward + discount * going * self._at("reward", later)
            discount *= self.discount
            factor = torch.where(going > 0, discount, factor)
            last = torch.where(going > 0, later, last)
            going = going * (1 - self._at("done", later))
        return Batch(
            self._at("observation", first),
            self._at("action", first),
            reward,
            self._at("next_observation", last),
            factor * (1 - self._at("terminated", last)),
        )

    def state_dict(self, replica: int) -> dict[str, Any]:
        """The written rows of one replica; on the rank that leads of all tasks."""
        own = [stored[replica, :, : len(self)].clone() for stored in self.rows]
        return {"written": self.written, "rows": [self._ranks.to_leader(rows, self._num_tasks) for rows in own]}

    def load_state_dict(self, states: Sequence[dict[str, Any]]) -> None:
        """Inverse of `state_dict`, one state a replica, for the same capacity.

        Raises:
            ValueError: they are of another capacity or other sizes, or not finite.
        """
        self.written = whole("written", states[0]["written"])
        for replica, state in enumerate(states):
            if state["written"] != self.written:
                raise ValueError(f"written must be the same for all, got {self.written} and {state['written']}")
            written = [stored[replica, :, : len(self)] for stored in self.rows]
            copy_checked("rows", written, [self._ranks.own_part(rows, self._num_tasks) for rows in state["rows"]])

    def _at(self, name: str, index: Tensor) -> Tensor:
        rows: Tensor = getattr(self.rows, name)
        return rows[self._replicas, self._tasks, index]
