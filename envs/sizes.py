"""Sizes of observations and actions, without making an environment."""

from collections.abc import Sequence
from typing import NamedTuple

from mtrl.envs.interface import ACTION_SIZE, OBSERVATION_SIZE
from mtrl.envs.tasks import are_metaworld, task_names


class Sizes(NamedTuple):
    """Numbers in an observation, O, and in an action, A."""

    observation: int
    action: int


def sizes(tasks: str | Sequence[str], one_hot: bool = False) -> Sizes:
    """What `mtrl.envs.make(tasks, one_hot=one_hot)` has. Raises ValueError as it does."""
    names = task_names(tasks)
    if are_metaworld(names):
        own = Sizes(OBSERVATION_SIZE, ACTION_SIZE)
    else:
        from mtrl.envs.registered.spaces import common_sizes  # makes each environment once

        own = common_sizes(names)
    return own._replace(observation=own.observation + one_hot * len(names))
