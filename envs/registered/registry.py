"""Which names Gymnasium knows, and what those environments are: their sizes, their limit, whether they tell of success.

Gymnasium is imported when asked for, not before.
"""

import copy
import importlib
import time
import warnings
from typing import Any

import numpy as np

from mtrl.envs.catalog import POINTS
from mtrl.envs.interface import TaskInfo
from mtrl.envs.registered.names import parsed
from mtrl.extras import install
from mtrl.own_class import module_of

SUITE = "dm_control/"
"""What ids of dm_control begin with, the control suite's among them; `shimmy` registers them."""
_SUITE_STEPS = 1000  # of every episode of the suite (Tassa et al. 2018, section 2) but for its LQR, which has no end
_LOOK_STEPS, _LOOK_S = 1000, 2.0  # at most, of the episode in which it is looked for success

_looked: dict[str, tuple[Any, TaskInfo]] = {}


def is_registered(name: object) -> bool:
    """Whether Gymnasium is there and knows this name.

    Raises:
        ModuleNotFoundError: it is of the control suite, and shimmy is not installed.
        ValueError: as for `find`.
    """
    try:
        return isinstance(name, str) and find(name) is not None
    except ModuleNotFoundError as error:
        if isinstance(name, str) and name.startswith(SUITE):
            needs = f"{name!r} needs {error.name}: {install('dmc')}, with Python 3.11 or 3.12"
            raise ModuleNotFoundError(needs, name=error.name) from None
        return False


def like(name: str) -> list[str]:
    """The names that Gymnasium knows, each behind the module that `name` has before its colon."""
    try:
        import gymnasium
    except ModuleNotFoundError:
        return []
    module, colon, _ = name.rpartition(":")
    return [f"{module}{colon}{registered}" for registered in gymnasium.registry]


def find(name: str) -> Any:
    """The `gymnasium.envs.registration.EnvSpec` of `"Name-v0"` or `"module:Name-v0"`, with its arguments, or None.

    Raises:
        ModuleNotFoundError: Gymnasium is not installed.
        ValueError: the arguments are not `key=value, ...`, or the module before the colon cannot be imported.
    """
    import gymnasium

    name, kwargs = parsed(name)
    if name in POINTS:
        import mtrl.envs.registered.point_goal  # noqa: F401  registers them
    if name.startswith(SUITE):
        import_suite()
    module, _, identifier = name.rpartition(":")
    if module:
        module_of(module, name, "tasks:")
    try:
        spec = gymnasium.spec(identifier)
    except gymnasium.error.Error:
        return None
    if kwargs:
        spec = copy.deepcopy(spec)
        steps = kwargs.pop("max_episode_steps", spec.max_episode_steps)
        if isinstance(steps, bool):  # a whole number to Python; Gymnasium says what else is wrong
            raise ValueError(f"tasks: {name}: max_episode_steps must be a whole number above 0, got {steps}")
        spec.max_episode_steps = steps
        spec.kwargs.update(kwargs)
    return spec


def import_suite() -> None:
    """Has shimmy register the control suite.

    The suite warns of a missing screen, which no step needs, and has Python show all deprecations: neither goes on.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module("shimmy")
        importlib.import_module("dm_control.suite")


def _is_of_suite(name: str) -> bool:
    """Whether it is a task of the control suite as it comes, whose episodes have `_SUITE_STEPS`."""
    if not name.startswith(SUITE):
        return False
    tasks = importlib.import_module("dm_control.suite").ALL_TASKS
    return name in {f"{SUITE}{domain}-{task}-v0" for domain, task in tasks if domain != "lqr"}


def look(name: str) -> TaskInfo:
    """What a registered environment is. It is made once, and acts for an episode at most, to be looked at.

    Raises:
        ValueError: it cannot be made, its observations are no vectors, its actions none with bounds, or nothing says
            when an episode ends.
    """
    registered = find(parsed(name)[0])  # itself, not a copy with arguments; arrays among these would not compare
    if name not in _looked or _looked[name][0] is not registered:
        _looked[name] = registered, _look(name, find(name))
    return _looked[name][1]


def _look(name: str, spec: Any) -> TaskInfo:
    import gymnasium

    try:
        env = gymnasium.make(spec, disable_env_checker=True)
    except Exception as error:  # of the constructor: an argument that it has not, a package that is missing
        raise ValueError(f"tasks: {name} cannot be made: {_one_line(error)}") from error
    try:
        actions = env.action_space
        if not isinstance(actions, gymnasium.spaces.Box) or len(actions.shape) != 1:
            raise ValueError(f"tasks must have one-dimensional Box actions, got {actions} for {name}")
        if not np.isfinite([actions.low, actions.high]).all():
            raise ValueError(f"tasks must have bounded actions, got {_one_line(actions)} for {name}")
        if not np.issubdtype(actions.dtype, np.floating):
            raise ValueError(f"tasks must have real-valued actions, got {actions} for {name}")
        size = _observation_size(name, env.observation_space)
        limit = env.spec.max_episode_steps or (_SUITE_STEPS if _is_of_suite(name) else None)
        try:
            has_success = _tells_success(env, actions)
        except Exception as error:
            raise ValueError(f"tasks: {name} cannot be stepped: {_one_line(error)}") from error
        return TaskInfo(name, size, actions.shape[0], limit, has_success)
    finally:
        env.close()


def _observation_size(name: str, space: Any) -> int:
    from gymnasium.spaces import Box, Dict, flatdim

    parts = list(space.spaces.values()) if isinstance(space, Dict) else [space]
    least = 0 if isinstance(space, Dict) else 1
    if not parts or not all(isinstance(part, Box) and least <= len(part.shape) <= 1 for part in parts):
        raise ValueError(f"tasks must have one-dimensional Box observations, or a Dict of them, got {space} for {name}")
    return int(flatdim(space))


def _one_line(told: object) -> str:
    return " ".join(str(told).split())


def first_observation(env: Any, seed: int) -> np.ndarray:
    """The observation that an episode begins with, as a vector.

    Raises:
        ValueError: the environment gives something else than its observation and an info.
    """
    told = env.reset(seed=seed)
    if not isinstance(told, tuple) or len(told) != 2:
        raise ValueError(f"reset must give (observation, info), got {type(told).__name__}")
    return vector(env.observation_space, told[0])


def vector(space: Any, obs: Any) -> np.ndarray:
    """An observation as a vector: parts of a Dict one after the other, as `gymnasium.wrappers.FlattenObservation` does.

    Raises:
        ValueError: it is not of the shape that its space says.
    """
    from gymnasium.spaces import Box, flatdim, flatten

    obs = np.asarray(obs) if isinstance(space, Box) else flatten(space, obs)
    if obs.shape != (size := flatdim(space),):
        raise ValueError(f"observations must have the shape ({size},) of their space, got {obs.shape}")
    return obs


def success_of(info: dict[str, Any]) -> bool | None:
    """Whether a step succeeded, as its info tells; None if it does not.

    Raises:
        ValueError: what it tells is no truth value and no finite number.
    """
    told = info.get("success")
    told = info.get("is_success") if told is None else told
    if told is None:
        return None
    if isinstance(told, bool | np.bool_):  # as at nearly every step
        return bool(told)
    value = np.asarray(told)
    if value.size != 1 or value.dtype.kind not in "biuf" or not np.isfinite(value).all():
        raise ValueError(f"info must tell success as a truth value or a finite number, got {told!r}")
    return bool(value.item())


def _tells_success(env: Any, actions: Any) -> bool:
    """Whether an episode of actions in the middle of their range tells of success at any step."""
    middle = ((actions.low.astype(float) + actions.high) / 2).astype(actions.dtype)
    first_observation(env, 0)
    until = time.monotonic() + _LOOK_S
    for _ in range(_LOOK_STEPS):
        obs, _, terminated, truncated, info = env.step(middle)
        vector(env.observation_space, obs)
        if success_of(info) is not None:
            return True
        if terminated or truncated or time.monotonic() > until:
            break
    return False
