"""Success and return of the training episodes that ended last. Axes: `T` tasks, `E` environments."""

from collections import deque

import numpy as np

from mtrl import envs
from mtrl.runs.loading import finite

EPISODES_PER_TASK = 20


class RecentEpisodes:
    """The last finished episodes of each task, with the policy as it explores.

    Args:
        num_tasks: `T`.
    """

    def __init__(self, num_tasks: int) -> None:
        self._episodes: list[deque[tuple[bool, float]]] = [deque(maxlen=EPISODES_PER_TASK) for _ in range(num_tasks)]

    def add(self, step: envs.Step) -> None:
        """Takes the episodes that ended with this step."""
        for task, environment in zip(*step.done.nonzero(), strict=True):
            success, total = step.episode_success[task, environment], step.episode_return[task, environment]
            self._episodes[task].append((bool(success), float(total)))

    def success(self) -> list[float | None]:
        """Any-step success rate of each task; None before its first episode has ended."""
        return [float(np.mean([success for success, _ in task])) if task else None for task in self._episodes]

    def mean_return(self) -> list[float | None]:
        """Mean undiscounted return of each task; None before its first episode has ended."""
        return [float(np.mean([total for _, total in task])) if task else None for task in self._episodes]

    def state_dict(self) -> list[list[tuple[bool, float]]]:
        """The episodes of each task, oldest first."""
        return [list(task) for task in self._episodes]

    def load_state_dict(self, state: list[list[tuple[bool, float]]]) -> None:
        """Inverse of `state_dict`."""
        for task, saved in zip(self._episodes, state, strict=True):
            episodes = [(bool(success), finite("a recent return", total)) for success, total in saved]
            task.clear()
            task.extend(episodes)
