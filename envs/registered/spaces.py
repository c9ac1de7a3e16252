"""Whether registered environments fit together: one observation size, one action size."""

from collections.abc import Sequence

import numpy as np

from mtrl.envs.interface import Sizes
from mtrl.envs.registered.registry import find


def common_sizes(tasks: Sequence[str]) -> Sizes:
    """The sizes that all tasks share. Each environment is made once to be looked at.

    Raises:
        ValueError: a space is not a one-dimensional box, an action has no bounds, or sizes differ.
    """
    first = _sizes(tasks[0])
    for task in tasks[1:]:
        own = _sizes(task)
        for kind, mine, theirs in zip(Sizes._fields, own, first, strict=True):
            if mine != theirs:
                raise ValueError(
                    f"tasks must have {kind}s of one size, got {theirs} for {tasks[0]} and {mine} for {task}"
                )
    return first


def _sizes(task: str) -> Sizes:
    import gymnasium

    env = gymnasium.make(find(task), disable_env_checker=True)
    try:
        sizes = []
        for kind, space in (("observations", env.observation_space), ("actions", env.action_space)):
            if not isinstance(space, gymnasium.spaces.Box) or len(space.shape) != 1:
                raise ValueError(f"tasks must have one-dimensional Box {kind}, got {space} for {task}")
            sizes.append(space.shape[0])
        if not np.isfinite([env.action_space.low, env.action_space.high]).all():
            raise ValueError(f"tasks must have bounded actions, got {env.action_space} for {task}")
        return Sizes(*sizes)
    finally:
        env.close()
