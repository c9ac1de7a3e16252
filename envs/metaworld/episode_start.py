"""What a reset of stock metaworld leaves behind, kept so that it need not be simulated again.

A reset runs `reset_model` twice, each with 250 steps of physics that bring the hand to its place (3 to 5 ms), and
does not depend on what was before. So one reset per goal is enough: `capture` runs it, `EpisodeStart.restore` puts an
environment there bit-equally, in microseconds.
"""

import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, final

import mujoco
import numpy as np
from metaworld.sawyer_xyz_env import SawyerXYZEnv
from metaworld.types import Task

_STATE = mujoco.mjtState.mjSTATE_INTEGRATION
MODEL_FIELDS = ("body_pos", "site_pos")
"""All that a reset writes into the model; a test compares every array of all fifty tasks."""
DATA_FIELDS = ("xpos", "xquat", "xmat", "geom_xpos", "geom_xmat", "site_xpos", "site_xmat")
"""What metaworld reads of the data besides the state. After some resets they are older than the state, since
metaworld moves joints without `mj_forward`: window-close first sees its handle where it was 0.2 m ago."""


class View(NamedTuple):
    """An attribute that is no value, but a window on simulator memory: it moves with every step.

    Metaworld's `init_left_pad` is one, although its name promises the pad's initial position.
    """

    field: str
    """Array of the data: `xpos` or `site_xpos`."""
    row: int
    """Which body or site."""

    def of(self, data: mujoco.MjData) -> np.ndarray:
        """The same window on this data, `[3]`."""
        return getattr(data, self.field)[self.row]


@final
@dataclass(frozen=True, eq=False)
class EpisodeStart:
    """An environment right after a reset; nobody may write to the arrays."""

    obs: np.ndarray
    """First observation, `[O]`."""
    state: np.ndarray
    """`mj_getState` with `mjSTATE_INTEGRATION`: all that decides the physics to come."""
    model: Mapping[str, np.ndarray]
    """`MODEL_FIELDS`: where the goal puts bodies and sites."""
    data: Mapping[str, np.ndarray]
    """`DATA_FIELDS`, as stale as metaworld leaves them. No step reads them: each begins with the kinematics."""
    attributes: Mapping[str, Any]
    """Plain attributes of the environment that the reset wrote, by name, `_prev_obs` among them."""
    views: Mapping[str, View]
    """Attributes that the reset made windows on simulator memory."""

    def restore(self, env: SawyerXYZEnv) -> np.ndarray:
        """Put an environment of the same task here, as its own reset would; a copy of the first observation."""
        self.place_model(env.model)
        self.place_data(env.model, env.data)
        self.place_attributes(env, env.data)
        return self.obs.copy()

    def place_model(self, model: mujoco.MjModel) -> None:
        """Write the goal into a model; environments that share one do so before each of their steps."""
        for field, value in self.model.items():
            getattr(model, field)[:] = value

    def place_data(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        """Write the state, and the positions that belong to it."""
        mujoco.mj_setState(model, data, self.state, _STATE)
        for field, value in self.data.items():
            getattr(data, field)[:] = value

    def place_attributes(self, env: SawyerXYZEnv, data: mujoco.MjData) -> None:
        """Write the plain attributes of an environment whose simulator memory is `data`."""
        if env._partially_observable:  # the goal is visible from now on; as in set_task
            vars(env).pop("sawyer_observation_space", None)
        vars(env).update(self.attributes)
        for name, view in self.views.items():
            setattr(env, name, view.of(data))


def capture(env: SawyerXYZEnv, goal: np.ndarray) -> EpisodeStart:
    """Reset an environment to a goal vector `[3 or 6]` (goal visible), and keep what that leaves."""
    stock = type(env)
    written: set[str] = set()
    # For the time of the reset, the environment tells which attributes it writes, and moves its hand once.
    overrides = {"__setattr__": _recorder(written), "_reset_hand": _in_second_call(stock._reset_hand)}
    env.__class__ = type(stock.__name__, (stock,), overrides)
    try:
        env.set_task(visible_goal(stock, goal))
        obs, _ = env.reset()
    finally:
        env.__class__ = stock
    state = np.empty(mujoco.mj_stateSize(env.model, _STATE))
    mujoco.mj_getState(env.model, env.data, state, _STATE)
    views = {name: view for name in written if (view := view_of(getattr(env, name), env.data))}
    return EpisodeStart(
        obs=_frozen(obs),
        state=state,  # the binding of mj_setState wants a writable one
        model={field: _frozen(getattr(env.model, field)) for field in MODEL_FIELDS},
        data={field: _frozen(getattr(env.data, field)) for field in DATA_FIELDS},
        attributes={name: _frozen(getattr(env, name)) for name in written - set(views)},
        views=views,
    )


def visible_goal(env_class: type[SawyerXYZEnv], goal: np.ndarray) -> Task:
    """A goal vector as metaworld's `set_task` takes it."""
    data = {"env_cls": env_class, "rand_vec": goal, "partially_observable": False}
    return Task(env_name=env_class.__name__, data=pickle.dumps(data))


def view_of(value: Any, data: mujoco.MjData) -> View | None:
    """Which window on this data an attribute is; None for one that has memory of its own."""
    if not isinstance(value, np.ndarray):
        return None
    for field in DATA_FIELDS:
        array = getattr(data, field)
        if np.may_share_memory(value, array):
            offset = value.__array_interface__["data"][0] - array.__array_interface__["data"][0]
            return View(field, offset // array.strides[0])
    return None


def _recorder(written: set[str]) -> Any:
    def record(env: SawyerXYZEnv, name: str, value: Any) -> None:
        written.add(name)
        object.__setattr__(env, name, value)

    return record


def _in_second_call(reset_hand: Callable[[SawyerXYZEnv], None]) -> Callable[[SawyerXYZEnv], None]:
    """The first `reset_model` counts for what it writes into the model; its data are reset before the second."""
    calls = 0

    def reset(env: SawyerXYZEnv) -> None:
        nonlocal calls
        calls += 1
        if calls > 1:
            reset_hand(env)
        else:
            env.init_tcp = env.tcp_center

    return reset


def _frozen(value: Any) -> Any:
    """A copy that nobody can write to, if it is an array: it is shared by all episodes of a goal."""
    if not isinstance(value, np.ndarray):
        return value
    value = value.copy()
    value.flags.writeable = False
    return value
