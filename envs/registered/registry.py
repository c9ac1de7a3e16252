"""Which names Gymnasium knows, and whether those environments fit together: one observation size, one action size.

Gymnasium is imported when asked for, not before.
"""

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from mtrl.envs.catalog import POINTS
from mtrl.envs.interface import Sizes


def is_registered(name: object) -> bool:
    """Whether Gymnasium is there and knows this name."""
    try:
        return isinstance(name, str) and find(name) is not None
    except ModuleNotFoundError:
        return False


def find(name: str) -> Any:
    """The `gymnasium.envs.registration.EnvSpec` of `"Name-v0"` or `"module:Name-v0"`, or None.

    Raises:
        ModuleNotFoundError: Gymnasium, or the module before the colon, is not installed.
    """
    import gymnasium

    if name in POINTS:
        import mtrl.envs.registered.point_goal  # noqa: F401  registers them
    module, _, name = name.rpartition(":")
    if module:
        importlib.import_module(module)
    try:
        return gymnasium.spec(name)
    except gymnasium.error.Error:
        return None


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
