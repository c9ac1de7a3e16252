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
from mtrl.agents.successors import Successors
from mtrl.runs.loading import copy_checked, whole

_SUCCESSORS = 3
"""Their place among the rows of a checkpoint, which holds them whole."""


def kept_numbers(observation_size: int, action_size: int) -> int:
    """Numbers of a row that `Replay` keeps: what it led to counts as another row's."""
    return observation_size + action_size + 4


def whole_numbers(observation_size: int, action_size: int) -> int:
    """Numbers of a transition that is whole, as in a batch or a checkpoint."""
    return 2 * observation_size + action_size + 3


class Rows(NamedTuple):
    """The transitions that are kept, `[S, T, capacity, ...]`; a vector step's `E` rows of a task lie side by side."""

    observation: Tensor
    """With `E` more behind them: what the newest vector step led to."""
    action: Tensor
    reward: Tensor
    terminated: Tensor
    """1 where the task itself ended the episode; never because of a time limit."""
    done: Tensor
    """1 where the episode ended, for whatever reason."""


class Replay:
    """The newest transitions of each task, drawn uniformly; rows that were never written are never drawn.

    A row's successor is what the environment's next row begins with, and is kept once; where that is another, as at the
    end of an episode, it is kept beside the rows.

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
            where the episode does or breaks off, or where nothing newer is kept.
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

        def rows(*shape: int, more: int = 0) -> Tensor:
            return torch.zeros(num_replicas, num_own, self.capacity + more, *shape, device=device, dtype=torch.float32)

        observations = rows(observation_size, more=num_envs_per_task)
        self.rows = Rows(observations, rows(action_size), rows(), rows(), rows())
        self._others = Successors(self.rows.reward, num_envs_per_task, observation_size)
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
        """Writes one vector step of every replica, `[S, T, E, ...]` each."""
        start, new_rows = self.written % self.capacity, (observation, action, reward, terminated, done)
        new = [torch.as_tensor(rows[:, self._own], dtype=torch.float32) for rows in new_rows]
        if self.written:
            others = (self._expected != new[0]).any(-1).numpy()
            if others.any():
                self._others.put(self._newest(), others, self.rows.observation[:, :, self.capacity :])
        self._others.drop(start)
        for stored, rows in zip(self.rows, new, strict=True):
            stored[:, :, start : start + self._num_envs] = rows.to(self.device)
        self.written += self._num_envs
        self._expect(torch.tensor(next_observation[:, self._own], dtype=torch.float32))

    def sample(self, batch_per_task: int, generators: Sequence[Generator]) -> Batch:
        """`batch_per_task` transitions of every own task with replacement, `[S, T, B, ...]`; a generator a replica."""
        if not len(self):
            raise ValueError("the replay is empty: add transitions before sampling")
        shape = (self._num_tasks, batch_per_task)
        drawn = [torch.randint(len(self), shape, generator=g, device=self.device)[self._own] for g in generators]
        first = last = torch.stack(drawn)  # [S, T, B], places in the ring
        reward, discount = self._at("reward", first), self.discount
        going = torch.ones_like(reward)
        factor = torch.full_like(reward, self.discount)
        oldest = self.written % self.capacity if self.written > self.capacity else 0
        age = (first - oldest) % self.capacity  # rows older than this one
        for step in range(1, self.num_steps):
            later = (first + step * self._num_envs) % self.capacity
            going = going * self._goes_on(last) * (age + step * self._num_envs < len(self))
            reward = reward + discount * going * self._at("reward", later)
            discount *= self.discount
            factor = torch.where(going > 0, discount, factor)
            last = torch.where(going > 0, later, last)
        return Batch(
            self._at("observation", first),
            self._at("action", first),
            reward,
            self._successor(self._replicas, self._tasks, last),
            factor * (1 - self._at("terminated", last)),
        )

    def state_dict(self, replica: int) -> dict[str, Any]:
        """The written rows of one replica; on the rank that leads of all tasks."""
        rows = torch.arange(len(self), device=self.device)
        own = [stored.clone() for stored in self._written(replica)]
        own.insert(_SUCCESSORS, self._successor(self._replicas[replica, 0], self._tasks, rows))
        return {"written": self.written, "rows": [self._ranks.to_leader(rows, self._num_tasks) for rows in own]}

    def load_state_dict(self, states: Sequence[dict[str, Any]]) -> None:
        """Inverse of `state_dict`, one state a replica, for the same capacity.

        Raises:
            ValueError: they are of another capacity or other sizes, or not finite.
        """
        self.written = whole("written", states[0]["written"])
        successors = torch.zeros_like(self.rows.observation[:, :, : len(self)])
        for replica, state in enumerate(states):
            if state["written"] != self.written:
                raise ValueError(f"written must be the same for all, got {self.written} and {state['written']}")
            written = self._written(replica)
            written.insert(_SUCCESSORS, successors[replica])
            copy_checked("rows", written, [self._ranks.own_part(rows, self._num_tasks) for rows in state["rows"]])
        self._keep(successors)

    def _keep(self, successors: Tensor) -> None:
        """Takes the successors of the rows that were written, `[S, T, rows, O]`."""
        self._others = Successors(self.rows.reward, self._num_envs, successors.shape[-1])
        oldest, newest = self.written - len(self), self.written - self._num_envs
        for written in range(oldest, newest, self._num_envs):
            start, following = (number % self.capacity for number in (written, written + self._num_envs))
            came = successors[:, :, start : start + self._num_envs]
            others = (came != self.rows.observation[:, :, following : following + self._num_envs]).any(-1)
            if others.any():
                self._others.put(start, others.cpu().numpy(), came)
        if self.written:
            self._expect(successors[:, :, self._newest() : self._newest() + self._num_envs].cpu().clone())

    def _expect(self, successors: Tensor) -> None:
        """Keeps what the newest vector step led to, `[S, T, E, O]`."""
        self._expected = successors
        self.rows.observation[:, :, self.capacity :] = successors.to(self.device)

    def _newest(self) -> int:
        """The first row of the newest vector step."""
        return (self.written - self._num_envs) % self.capacity

    def _written(self, replica: int) -> list[Tensor]:
        """Views of the rows of a replica, `[T, rows, ...]`."""
        return [stored[replica, :, : len(self)] for stored in self.rows]

    def _successor(self, replica: Tensor, task: Tensor, row: Tensor) -> Tensor:
        """What rows led to, `[..., O]`."""
        beyond = row - self._newest()
        following = torch.where(
            (beyond >= 0) & (beyond < self._num_envs), self.capacity + beyond, (row + self._num_envs) % self.capacity
        )
        return self._others.instead(self.rows.observation[replica, task, following], replica, task, row)

    def _goes_on(self, row: Tensor) -> Tensor:
        """Whether the environment's next row is of the same episode: 0 where it ended, or broke off with a run."""
        return (1 - self._at("done", row)) * ~self._others.has(self._replicas, self._tasks, row)

    def _at(self, name: str, index: Tensor) -> Tensor:
        rows: Tensor = getattr(self.rows, name)
        return rows[self._replicas, self._tasks, index]
