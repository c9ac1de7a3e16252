"""Factors that rewards are multiplied with when they are sampled. Axes: `T` tasks, `E` environments."""

from typing import Any

import numpy as np

from mtrl.agents.config import AgentConfig
from mtrl.runs.loading import copied_array, finite


class RewardScale:
    """A factor per task, learned from the rewards that come in; here 1, which leaves them as they are."""

    def __init__(self, num_tasks: int) -> None:
        self._num_tasks = num_tasks

    def add(self, reward: np.ndarray, first: np.ndarray, done: np.ndarray) -> None:
        """Takes the rewards `[T, E]` of a vector step, where it was an episode's first, and where it ended one."""

    def factor(self) -> np.ndarray:
        """What rewards are multiplied by, `[T]`, positive."""
        return np.ones(self._num_tasks)

    def state_dict(self) -> dict[str, Any]:
        """All that the factors depend on."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Inverse of `state_dict`."""


def make_reward_scale(config: AgentConfig, num_tasks: int, num_envs_per_task: int) -> RewardScale:
    """The scale that a configuration asks for."""
    if config.reward_scaling == "return":
        return ReturnScale(num_tasks, num_envs_per_task, config.discount, config.value_limit)
    return DeviationScale(num_tasks) if config.reward_scaling == "deviation" else RewardScale(num_tasks)


class ReturnScale(RewardScale):
    """Brings the largest absolute discounted return of each task to a limit.

    BRC (Nauman et al. 2025) divides rewards by it when they are sampled, so that values of all tasks share the range
    of one categorical critic. Returns are counted within an episode, from every step to the episode's end.

    Args:
        num_tasks: `T`.
        num_envs_per_task: `E`.
        discount: of the return.
        limit: what the largest return becomes; factors are 1 before any return.
    """

    def __init__(self, num_tasks: int, num_envs_per_task: int, discount: float, limit: float) -> None:
        super().__init__(num_tasks)
        self.discount, self.limit = discount, limit
        self.largest = np.zeros(num_tasks)
        self._episodes: list[list[list[float]]] = [[[] for _ in range(num_envs_per_task)] for _ in range(num_tasks)]

    def add(self, reward: np.ndarray, first: np.ndarray, done: np.ndarray) -> None:
        """Takes a vector step's rewards; an episode that is done closes its returns.

        Of one that is not done when another begins nothing is known: environments began anew when a run was resumed.
        """
        for task, environments in enumerate(self._episodes):
            for environment, rewards in enumerate(environments):
                if first[task, environment]:
                    rewards.clear()
                rewards.append(float(reward[task, environment]))
                if done[task, environment]:
                    value = 0.0
                    for r in reversed(rewards):
                        value = r + self.discount * value
                        self.largest[task] = max(self.largest[task], abs(value))
                    rewards.clear()

    def factor(self) -> np.ndarray:
        return np.divide(self.limit, self.largest, out=np.ones_like(self.largest), where=self.largest > 0)

    def state_dict(self) -> dict[str, Any]:
        """The largest returns and the rewards of the unfinished episodes."""
        return {
            "largest": self.largest.copy(),
            "episodes": [[list(e) for e in task] for task in self._episodes],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Inverse of `state_dict`."""
        self.largest = copied_array("largest returns", self.largest, state["largest"], least=0)
        episodes = [[[finite("a reward", r) for r in e] for e in task] for task in state["episodes"]]
        if (shape := [len(task) for task in episodes]) != [len(task) for task in self._episodes]:
            raise ValueError(f"rewards must be of {len(self._episodes)} tasks' environments, got {shape}")
        self._episodes = episodes


class DeviationScale(RewardScale):
    """Divides by the running standard deviation of a task's rewards, as mtenv's exponential normalisation does.

    Mean and variance begin at 0 and 1 and forget at the rate of 0.001 a step. Theirs: a running deviation for each
    environment, of rewards as they are stored; here one for each task, when they are sampled.

    Args:
        num_tasks: `T`.
    """

    RATE = 1e-3

    def __init__(self, num_tasks: int) -> None:
        super().__init__(num_tasks)
        self.mean, self.variance = np.zeros(num_tasks), np.ones(num_tasks)

    def add(self, reward: np.ndarray, first: np.ndarray, done: np.ndarray) -> None:
        self.mean += self.RATE * (reward.mean(1) - self.mean)
        self.variance += self.RATE * (((reward - self.mean[:, None]) ** 2).mean(1) - self.variance)

    def factor(self) -> np.ndarray:
        return 1 / (np.sqrt(self.variance) + 1e-8)

    def state_dict(self) -> dict[str, Any]:
        """The running moments."""
        return {"mean": self.mean.copy(), "variance": self.variance.copy()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Inverse of `state_dict`."""
        self.mean = copied_array("mean rewards", self.mean, state["mean"])
        self.variance = copied_array("variances of rewards", self.variance, state["variance"], least=0)
