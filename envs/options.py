"""What a vector environment is made of, as `mtrl.envs.make` checked it."""

import zlib
from dataclasses import astuple, dataclass, replace
from typing import Literal

import numpy as np

GoalOrder = Literal["random", "cycle"]
"""`random`: every episode draws a goal uniformly. `cycle`: environment e visits goals e, e+E, e+2E, ..."""

RewardVersion = Literal["v2", "v1"]
"""Metaworld's own reward functions: `v2`, in [0, 10], or the older `v1`, in the thousands."""


@dataclass(frozen=True)
class Options:
    """See `mtrl.envs.make` for the meaning of each."""

    tasks: tuple[str, ...]
    num_envs_per_task: int
    seed: int
    horizon: int
    goal_order: GoalOrder
    goal_seed: int
    num_goals: int
    reward_version: RewardVersion
    one_hot: bool
    goals_visible: bool
    num_workers: int

    @property
    def shape(self) -> tuple[int, int]:
        """`(T, E)`"""
        return len(self.tasks), self.num_envs_per_task

    def fingerprint(self) -> np.ndarray:
        """A number that differs between two makes whose numbers differ; `num_workers` changes none."""
        return np.array(zlib.crc32(repr(astuple(replace(self, num_workers=0))).encode()))
