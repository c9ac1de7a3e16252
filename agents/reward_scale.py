"""Per-task reward scale from the returns seen so far. Axes: `T` tasks, `E` environments."""

import numpy as np


class ReturnScale:
    """Keeps the largest absolute discounted return of each task.

    BRC (Nauman et al. 2025) divides rewards by it when they are sampled, so that values of all tasks share the range
    of one categorical critic. Returns are counted within an episode, from every step to the episode's end.

    Args:
        num_tasks: `T`.
        num_envs_per_task: `E`.
        discount: of the return.
    """

    def __init__(self, num_tasks: int, num_envs_per_task: int, discount: float) -> None:
        self.discount = discount
        self.largest = np.zeros(num_tasks)
        self._episodes: list[list[list[float]]] = [[[] for _ in range(num_envs_per_task)] for _ in range(num_tasks)]

    def add(self, reward: np.ndarray, done: np.ndarray) -> None:
        """Counts the rewards `[T, E]` of a vector step; an episode that is done closes its returns."""
        for task, environments in enumerate(self._episodes):
            for environment, rewards in enumerate(environments):
                rewards.append(float(reward[task, environment]))
                if done[task, environment]:
                    value = 0.0
                    for r in reversed(rewards):
                        value = r + self.discount * value
                        self.largest[task] = max(self.largest[task], abs(value))
                    rewards.clear()

    def factor(self, limit: float) -> np.ndarray:
        """What rewards are multiplied with so that the largest return becomes `limit`; 1 before any return. `[T]`"""
        return np.divide(limit, self.largest, out=np.ones_like(self.largest), where=self.largest > 0)

    def state_dict(self) -> dict[str, object]:
        """The largest returns and the rewards of the unfinished episodes."""
        return {
            "largest": self.largest.copy(),
            "episodes": [[list(e) for e in task] for task in self._episodes],
        }

    def load_state_dict(self, state: dict) -> None:
        """Inverse of `state_dict`."""
        self.largest = state["largest"].copy()
        self._episodes = [[list(e) for e in task] for task in state["episodes"]]
