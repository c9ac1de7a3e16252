"""Two small tasks that a user might register; episodes end at different times."""

from typing import Any

import gymnasium
import numpy as np


class CustomReach(gymnasium.Env[np.ndarray, np.ndarray]):
    """Terminates in success near zero; the action box is lopsided."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (3,), np.float64)
    action_space = gymnasium.spaces.Box(np.array([0.0, -1.0], np.float32), np.array([2.0, 3.0], np.float32))
    success = "success"

    def __init__(self, pull: float = 0.2) -> None:
        self._pull = pull
        self._state = np.zeros(3)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self._state = self.np_random.normal(size=3)
        return self._state.copy(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        assert action in self.action_space
        if np.abs(action - [2.0, 3.0]).max() == 0.0:
            raise ZeroDivisionError("asked for the corner")
        self._state = (1 - self._pull) * self._state + 0.1 * np.array([*(action - 1.0), 0.0])
        self._state[2] += 0.2 * self.np_random.normal()
        size = float(np.abs(self._state).sum())
        return self._state.copy(), -size, size < 0.5, False, {self.success: size < 0.8}


class CustomPush(CustomReach):
    """Says is_success instead."""

    success = "is_success"


gymnasium.register("CustomReach-v0", CustomReach, max_episode_steps=25)
gymnasium.register("CustomPush-v0", CustomPush, max_episode_steps=7, kwargs={"pull": 0.05})


class CustomDict(CustomReach):
    """Observes named parts, one of them a number, and tells of no success."""

    observation_space = gymnasium.spaces.Dict(
        {"place": gymnasium.spaces.Box(-np.inf, np.inf, (2,)), "height": gymnasium.spaces.Box(-np.inf, np.inf, ())}
    )

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict]:
        obs, info = super().reset(seed=seed)
        return self._named(obs), info

    def step(self, action: np.ndarray) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        obs, reward, terminated, truncated, _ = super().step(action)
        return self._named(obs), reward, terminated, truncated, {}

    def _named(self, obs: np.ndarray) -> dict[str, np.ndarray | np.floating]:
        return {"place": obs[:2].astype(np.float32), "height": np.float32(obs[2])}


gymnasium.register("CustomDict-v0", CustomDict, max_episode_steps=9)
gymnasium.register("CustomEndless-v0", CustomReach)


class Leaving(CustomReach):
    """Says on a file that it was closed."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def close(self) -> None:
        with open(self._path, "a") as file:
            file.write("closed\n")


gymnasium.register("Leaving-v0", Leaving, max_episode_steps=5)
