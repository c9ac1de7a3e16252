"""Return, success and length of the running episodes, counted alike for every backend.

Axes: T tasks, E environments per task, O observation.
"""

import numpy as np

from envs.interface import Step


class Episodes:
    """The episodes of all environments. They start together and Meta-World never terminates, so they also
    end together, at the horizon: one number and one length stand for all."""

    def __init__(self, num_tasks: int, num_envs_per_task: int, horizon: int) -> None:
        self._shape = (num_tasks, num_envs_per_task)
        self._horizon = horizon
        self.start(-1)

    def start(self, number: int) -> None:
        """Begin the episode with this number: the first is 0, and -1 means that there was none yet."""
        self.number = number
        self.length = 0
        self._return = np.zeros(self._shape)
        self._success = np.zeros(self._shape, dtype=bool)

    @property
    def next_step_is_last(self) -> bool:
        """Whether the coming step reaches the horizon."""
        return self.length + 1 == self._horizon

    def record(self, obs: np.ndarray, next_obs: np.ndarray, reward: np.ndarray, success: np.ndarray) -> Step:
        """Count a step, and start the next episode where it was the last one.

        Args:
            obs: what to act on next, `[T, E, O]`.
            next_obs: the successor, `[T, E, O]`.
            reward: `[T, E]`.
            success: of this step, `[T, E]` bool.
        """
        truncated = self.next_step_is_last
        self.length += 1
        self._return = self._return + reward
        self._success = self._success | success
        step = Step(
            obs=obs,
            next_obs=next_obs,
            reward=reward,
            terminated=np.zeros(self._shape, dtype=bool),
            truncated=np.full(self._shape, truncated),
            success=success,
            episode_success=self._success.copy(),
            episode_return=self._return.copy(),
            episode_length=np.full(self._shape, self.length, dtype=np.int64),
        )
        if truncated:
            self.start(self.number + 1)
        return step
