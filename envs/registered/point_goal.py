"""Four analytic tasks that conflict: a point is to go east, north, west or south.

All observe the same, the point's position, and not where to go, so that one policy for all can do no better than
stay; that is for the heads of a multi-task policy to tell apart. A step takes microseconds.

    position += STEP * action, clipped;  reward = 1 - |goal - position|_1 / 2;  success: |goal - position|_1 < STEP

The coordinates do not interact, so the optimal policy moves each one by min(STEP, its distance) and its rewards are
known.
"""

from typing import Any, final

import gymnasium
import numpy as np

from mtrl.envs.catalog import POINTS

STEP = 0.2
MAX_STEPS = 20
_START = 0.3  # half the side of the square that episodes begin in
_WALL = 1.5  # half the side of the square that the point cannot leave
GOALS = dict(zip(POINTS, ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0)), strict=True))
"""Where each task's point is to go, by the task's name."""


@final
class PointGoal(gymnasium.Env[np.ndarray, np.ndarray]):
    """One of the tasks; see the module."""

    observation_space = gymnasium.spaces.Box(-_WALL, _WALL, (2,), np.float64)
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)

    def __init__(self, goal: tuple[float, float]) -> None:
        self._goal = np.array(goal)
        self._position = np.zeros(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        """Begin an episode anywhere near the middle."""
        super().reset(seed=seed)
        self._position = self.np_random.uniform(-_START, _START, 2)
        return self._position.copy(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Move the point by `STEP` times the action; an episode is truncated and never terminates."""
        self._position = np.clip(self._position + STEP * np.clip(action, -1.0, 1.0), -_WALL, _WALL)
        distance = float(np.abs(self._goal - self._position).sum())
        return self._position.copy(), 1.0 - distance / 2.0, False, False, {"success": distance < STEP}


for _name, _goal in GOALS.items():
    gymnasium.register(_name, PointGoal, max_episode_steps=MAX_STEPS, kwargs={"goal": _goal})
