"""Observations after a step that the next row does not begin with."""

import numpy as np
import torch
from torch import Tensor


class Successors:
    """An episode's last observations, mostly: after them a new one begins. Rows are numbered as in `Replay`.

    They come in the order in which their rows are overwritten, and so are kept in a ring, which grows.

    Args:
        like: rows that they may belong to, `[S, T, capacity]`.
        num_envs: `E`, rows of a task that a vector step writes.
        size: `O`, of an observation.
    """

    def __init__(self, like: Tensor, num_envs: int, size: int) -> None:
        self._num_envs = num_envs
        self._put = self._dropped = 0
        self._counts = np.zeros(like.shape[-1] // num_envs, np.int64)  # by vector step
        self._number = torch.full_like(like, -1, dtype=torch.int32)  # of a row's own successor; -1: it has none
        self.values = like.new_zeros(0, size)

    def put(self, start: int, mask: np.ndarray, successors: Tensor) -> None:
        """Keeps those of the newest vector step.

        Args:
            start: its first row.
            mask: the rows that have one, `[S, T, E]`.
            successors: of all rows, `[S, T, E, O]`.
        """
        replica, task, env = (torch.as_tensor(index, device=successors.device) for index in mask.nonzero())
        numbers = torch.arange(self._put, self._put + len(env), device=successors.device)
        self._put += len(env)
        self._counts[start // self._num_envs] = len(env)
        self._grow(self._put - self._dropped)
        self.values[numbers % len(self.values)] = successors[replica, task, env]
        self._number[replica, task, start + env] = numbers.to(torch.int32)

    def drop(self, start: int) -> None:
        """Forgets those of the oldest vector step."""
        self._dropped += int(self._counts[start // self._num_envs])
        self._counts[start // self._num_envs] = 0
        self._number[:, :, start : start + self._num_envs] = -1

    def instead(self, observation: Tensor, replica: Tensor, task: Tensor, row: Tensor) -> Tensor:
        """The rows' own successors where they have one, `[..., O]`; else those that are given."""
        if not len(self.values):
            return observation
        number = self._number[replica, task, row].long()[..., None]
        return torch.where(number < 0, observation, self.values[number[..., 0] % len(self.values)])

    def has(self, replica: Tensor, task: Tensor, row: Tensor) -> Tensor:
        """Whether rows have one of their own, bool."""
        return self._number[replica, task, row] >= 0

    def _grow(self, needed: int) -> None:
        old = self.values
        if needed > len(old):
            self.values = old.new_zeros(2 * needed, old.shape[-1])
            kept = torch.arange(self._dropped, self._dropped + len(old), device=old.device)
            if len(old):
                self.values[kept % len(self.values)] = old[kept % len(old)]
