"""Metaworld's own reward functions with cheaper helpers.

They find `np`, `reward_utils` and `Rotation` among the names of their modules. A module is executed a second time, as
an object that nobody else sees, and these names are set there; the package stays as it is, also for whoever uses it in
the same process.
"""

import functools
import importlib.util
import types
from typing import Any

import numpy as np
from metaworld.env_dict import ALL_V3_ENVIRONMENTS
from metaworld.sawyer_xyz_env import SawyerXYZEnv
from metaworld.utils import reward_utils

from mtrl.envs.metaworld.internals import small_math


@functools.cache
def cheap_task(task: str) -> Any:
    """The class of a task (V3 name) whose rewards and object poses are computed with `small_math`."""
    stock = ALL_V3_ENVIRONMENTS[task]
    return getattr(_copy_of(stock.__module__), stock.__name__)


@functools.cache
def cheap_base() -> Any:
    """A class with what the rewards of many tasks share; it stands behind a task's own, which may override it."""
    caging = _copy_of(SawyerXYZEnv.__module__).SawyerXYZEnv._gripper_caging_reward
    return type("CheapBase", (SawyerXYZEnv,), {"_gripper_caging_reward": caging})


def _copy_of(name: str) -> types.ModuleType:
    """A second copy of a module with the cheap helpers in place of those of its names that stand for them."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    vars(module).update({known: cheap for known, cheap in _cheap_names().items() if known in vars(module)})
    return module


@functools.cache
def _cheap_names() -> dict[str, Any]:
    return {
        "np": _variant(np, hstack=small_math.hstack, linalg=_variant(np.linalg, norm=small_math.norm)),
        "reward_utils": _variant(reward_utils, tolerance=small_math.tolerance),
        "Rotation": small_math.Rotation,
    }


def _variant(module: types.ModuleType, **changes: Any) -> types.ModuleType:
    variant = types.ModuleType(module.__name__)
    vars(variant).update(vars(module) | changes)
    return variant
