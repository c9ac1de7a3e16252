"""The environments that a worker steps together.

Axes: n environments, O observation, A action.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from mtrl.envs.metaworld.drawn import release_drawn
from mtrl.envs.metaworld.episode_start import EpisodeStart, capture
from mtrl.envs.metaworld.light_env import SharedModel, light_env
from mtrl.envs.metaworld.stock import stock_env
from mtrl.envs.metaworld.thin import THIN_TASKS, Group, ThinSimulators
from mtrl.envs.options import RewardVersion

_TOGETHER_FROM = 2
"""Environments of a task from which computing their rewards at once is faster: one alone takes 7 % longer so than
one by one, four take 19 % less (MT10 on four workers; `python scripts/bench_tasks.py` has each task by itself)."""


class Simulators(Protocol):
    """What a worker wants of them."""

    def reset(self, goals: np.ndarray) -> np.ndarray:
        """Begin an episode everywhere with these goals, `[n]` of their numbers; the first observations, `[n, O]`."""

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Take actions `[n, A]`; next observations `[n, O]`, rewards `[n]`, successes of this step `[n]`."""


class OneByOne:
    """Environments of any task, one after the other (`Simulators`).

    Each equals `gymnasium.make("Meta-World/MT1", env_name=task)` bit for bit. The wrappers around that one
    change neither observation nor reward: they pick goals, keep statistics and truncate, all of which the
    parent does. One stock environment resets, once per goal; light ones on its model step.
    """

    def __init__(self, task: str, goals: np.ndarray, count: int, reward_version: RewardVersion) -> None:
        self._goals = goals
        self._stock = stock_env(task, reward_version)
        release_drawn(self._stock.model)
        self._model = SharedModel(self._stock.model)
        self._envs = [light_env(self._stock, self._model) for _ in range(count)]
        self._starts: dict[int, EpisodeStart] = {}

    def reset(self, goals: np.ndarray) -> np.ndarray:
        """See `Simulators.reset`."""
        return np.stack([env.begin(self._start(int(goal))) for env, goal in zip(self._envs, goals, strict=True)])

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """See `Simulators.step`."""
        steps = [env.advance(action) for env, action in zip(self._envs, actions, strict=True)]
        obs, reward, success = zip(*steps, strict=True)
        return np.stack(obs), np.array(reward), np.array(success)

    def _start(self, goal: int) -> EpisodeStart:
        if goal not in self._starts:
            self._model.forget()  # the reset writes its goal there
            self._starts[goal] = capture(self._stock, self._goals[goal])
        return self._starts[goal]


def make_simulators(groups: Sequence[Group], reward_version: RewardVersion) -> list[tuple[list[int], Simulators]]:
    """The fastest exact simulators of several tasks' environments.

    Args:
        groups: any tasks, in any order.
        reward_version: metaworld's own `reward_function_version`; other than v2 one by one, always.

    Returns:
        Simulators, each with the numbers of the groups whose environments it has, in that order.
    """

    def is_thin(group: Group) -> bool:
        return reward_version == "v2" and group.task in THIN_TASKS and group.num_envs >= _TOGETHER_FROM

    thin = [number for number, group in enumerate(groups) if is_thin(group)]
    made: list[tuple[list[int], Simulators]] = []
    if thin:
        made.append((thin, ThinSimulators([groups[number] for number in thin])))
    for number, group in enumerate(groups):
        if number not in thin:
            made.append(([number], OneByOne(*group, reward_version)))
    return made
