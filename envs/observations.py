"""Which numbers of a simulator's observation are shown, and the task's one-hot vector behind them."""

from typing import final

import numpy as np

from mtrl.envs.interface import OBSERVATION_SIZE
from mtrl.envs.options import Options

_GOAL = slice(36, 39)


@final
class Observations:
    """Makes the vector environment's observations from the simulators', alike for every backend.

    Hidden goals are zeros, as in metaworld's `partially_observable=True`, where rewards stay as they are.
    """

    def __init__(self, options: Options, size: int = OBSERVATION_SIZE) -> None:
        """`size`: numbers that the simulators give; only Meta-World's hold a goal that can be hidden."""
        num_tasks = len(options.names)
        self._goals_visible = options.goals_visible
        one_hot = np.eye(num_tasks) if options.one_hot else np.zeros((num_tasks, 0))
        self._one_hot = np.repeat(one_hot[:, None], options.num_envs_per_task, axis=1)
        self.size = size + one_hot.shape[1]

    def show(self, obs: np.ndarray) -> np.ndarray:
        """A new array `[T, E, O]` for the simulators' `[T, E, size]`."""
        shown = np.concatenate([obs, self._one_hot], axis=-1)
        if not self._goals_visible:
            shown[..., _GOAL] = 0.0
        return shown
