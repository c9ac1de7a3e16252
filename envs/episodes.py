"""Return, success and length of the running episodes, counted alike for every backend.

Axes: T tasks, E environments per task, O observation.
"""

from collections.abc import Sequence
from typing import final

import numpy as np

from mtrl.envs.interface import Step


@final
class Episodes:
    """The episodes of all environments.

    They start together; those of Meta-World, which never terminates, also end together, at the horizon.
    """

    def __init__(self, horizons: Sequence[int], num_envs_per_task: int) -> None:
        """`horizons`: steps after which an episode of each task is truncated, `[T]`."""
        self._shape = (len(horizons), num_envs_per_task)
        self._horizon = np.array(horizons)[:, None]
        self.start(-1)

    def start(self, number: int | np.ndarray) -> None:
        """Begin the episodes with these numbers, `[T, E]`: the first is 0, and -1 means that there was none yet."""
        self.number = np.full(self._shape, number, dtype=np.int64)
        self.length = np.zeros(self._shape, dtype=np.int64)
        self.returned = np.zeros(self._shape)  # rewards so far
        self._success = np.zeros(self._shape, dtype=bool)

    @property
    def next_step_is_last(self) -> np.ndarray:
        """Whether the coming step reaches the horizon, `[T, E]`."""
        return self.length + 1 == self._horizon

    def record(
        self,
        obs: np.ndarray,
        next_obs: np.ndarray,
        reward: np.ndarray,
        success: np.ndarray,
        terminated: np.ndarray | None = None,
        truncated: np.ndarray | None = None,
        active: np.ndarray | None = None,
    ) -> Step:
        """Count a step, and start the next episode where it was the last one.

        Args:
            obs: what to act on next, `[T, E, O]`.
            next_obs: the successor, `[T, E, O]`.
            reward: `[T, E]`.
            success: of this step, `[T, E]` bool.
            terminated: the task ended, `[T, E]` bool; None for nowhere.
            truncated: the environment cut its episode, `[T, E]` bool; the horizon is added. None for nowhere.
            active: who took the step, `[T, E]` bool; None for all. The Step holds nothing of use for the others.
        """
        everyone = np.ones(self._shape, dtype=bool)
        active = everyone if active is None else active
        terminated = ~everyone if terminated is None else terminated & active
        truncated = (self.next_step_is_last if truncated is None else self.next_step_is_last | truncated) & active
        self.length = self.length + active
        self.returned = self.returned + np.where(active, reward, 0.0)
        self._success = self._success | (success & active)
        step = Step(
            obs=obs,
            next_obs=next_obs,
            reward=reward,
            terminated=terminated,
            truncated=truncated,
            success=success,
            episode_success=self._success.copy(),
            episode_return=self.returned.copy(),
            episode_length=self.length.copy(),
        )
        done = step.done
        self.number = self.number + done
        self.length[done] = 0
        self.returned[done] = 0.0
        self._success[done] = False
        return step
