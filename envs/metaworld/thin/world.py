"""What the environments of one task share."""

from typing import final

import mujoco
import numpy as np

from mtrl.envs.metaworld.drawn import release_drawn
from mtrl.envs.metaworld.episode_start import EpisodeStart, capture
from mtrl.envs.metaworld.stock import stock_env
from mtrl.envs.metaworld.thin.task import Start
from mtrl.envs.metaworld.thin.tasks import THIN_TASKS


@final
class World:
    """A model and the starts of episodes in it."""

    def __init__(self, task: str, goals: np.ndarray) -> None:
        """Build it for a task in `THIN_TASKS` and the goal vectors `[num_goals, 3 or 6]`."""
        self.task = THIN_TASKS[task]
        self.stock = stock_env(task, "v2")
        self.model: mujoco.MjModel = self.stock.model
        release_drawn(self.model)
        moved = self.task.moved_body
        self.moved_row = self.model.body(moved).id if moved else None
        """The one body that the goal moves; none for some tasks."""
        self._goals = goals
        self._starts: dict[int, tuple[EpisodeStart, Start]] = {}

    def start(self, goal: int) -> tuple[EpisodeStart, Start]:
        """What an episode with the goal of this number begins with."""
        if goal not in self._starts:
            episode = capture(self.stock, self._goals[goal])
            self._starts[goal] = episode, self.task.start(self.stock)
        return self._starts[goal]
