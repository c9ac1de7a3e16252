"""Tasks that a user might register with a fault; the numbers of some are none from an episode's twelfth step on."""

from typing import Any

import gymnasium
import numpy as np


class InfiniteReward(gymnasium.Env[np.ndarray, np.ndarray]):
    """The reward is 1 before."""

    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float64)
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)

    def __init__(self) -> None:
        self._steps = self._episodes = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self._steps = 0
        self._episodes += 1
        return self.np_random.uniform(-1, 1, 2), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self._steps += 1
        reward = 1.0 if self._steps < 12 else -np.inf
        return self.np_random.uniform(-1, 1, 2), reward, False, False, {}


class LastObservation(InfiniteReward):
    """The episode ends at the twelfth step, with a state that has left its range."""

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        obs, _, _, _, info = super().step(action)
        diverged = self._steps == 12
        return np.full(2, np.nan) if diverged else obs, 1.0, diverged, False, info


class Raising(InfiniteReward):
    """Raises in the second episode, long after it was looked at."""

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        obs, _, _, _, info = super().step(action)
        if self._episodes == 2:
            raise KeyError("a wheel")
        return obs, 1.0, False, False, info


gymnasium.register("Raising-v0", Raising, max_episode_steps=20)
gymnasium.register("LastObservation-v0", LastObservation, max_episode_steps=20)
gymnasium.register("InfiniteReward-v0", InfiniteReward, max_episode_steps=20)
