"""Which names Gymnasium knows. Imports it when asked, not before."""

import importlib
from typing import Any

from mtrl.envs.catalog import POINTS


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
