"""Metaworld's own functions, run with cheaper helpers in scope.

A function finds `np`, `reward_utils` and `Rotation` in its module's globals. Copies of the functions get other
globals; the package itself stays as it is, also for whoever uses it in the same process.
"""

import functools
import types
from collections.abc import Mapping
from typing import Any

import numpy as np
from metaworld.sawyer_xyz_env import SawyerXYZEnv
from metaworld.utils import reward_utils

from mtrl.envs.metaworld import small_math


def rescoped_methods(env_class: type[SawyerXYZEnv]) -> dict[str, Any]:
    """The methods and properties of a task's class, those it inherits from metaworld included, by name."""
    methods: dict[str, Any] = {}
    for base in reversed(env_class.__mro__):
        if base.__module__.startswith("metaworld."):
            methods |= {name: copy for name, value in vars(base).items() if (copy := _rescoped(value)) is not None}
    return methods


def _rescoped(value: Any) -> Any:
    if isinstance(value, types.FunctionType):
        return _with_scope(_undecorated(value))
    if isinstance(value, property) and isinstance(value.fget, types.FunctionType):
        return property(_with_scope(value.fget))
    if isinstance(value, staticmethod) and isinstance(value.__func__, types.FunctionType):
        return staticmethod(_with_scope(value.__func__))
    return None


def _undecorated(function: types.FunctionType) -> types.FunctionType:
    """What `assert_task_is_set` checks and calls: here a task always is."""
    if function.__qualname__.endswith("assert_task_is_set.<locals>.inner"):
        cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
        return cells["func"].cell_contents
    return function


def _with_scope(function: types.FunctionType) -> types.FunctionType:
    copy = types.FunctionType(
        function.__code__, _scope(function.__module__), function.__name__, function.__defaults__, function.__closure__
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


@functools.cache
def _scope(module: str) -> dict[str, Any]:
    """The module's names, with the cheap ones in place of those that it has."""
    names = vars(__import__(module, fromlist=["_"]))
    return dict(names) | {name: cheap for name, cheap in _cheap_names().items() if name in names}


@functools.cache
def _cheap_names() -> Mapping[str, Any]:
    return {
        "np": _variant(np, linalg=_variant(np.linalg, norm=small_math.norm)),
        "reward_utils": _variant(reward_utils, tolerance=small_math.tolerance),
        "Rotation": small_math.Rotation,
    }


def _variant(module: types.ModuleType, **changes: Any) -> types.ModuleType:
    variant = types.ModuleType(module.__name__)
    vars(variant).update(vars(module) | changes)
    return variant
