"""What a reset of stock metaworld leaves behind, kept so that it need not be simulated again.

A reset runs `reset_model` twice, each with 250 steps of physics that bring the hand to its place (3 to 5 ms), and
does not depend on what was before. So one reset per goal is enough: `capture` runs it, and an `EpisodeStart` puts
environments there bit-equally, in microseconds.
"""

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, final

import mujoco
import numpy as np
from metaworld.env_dict import ALL_V3_ENVIRONMENTS
from metaworld.sawyer_xyz_env import SawyerXYZEnv
from metaworld.types import Task

_STATE = mujoco.mjtState.mjSTATE_INTEGRATION
MODEL_FIELDS = ("body_pos", "site_pos")
"""All that a reset writes into the model; a test compares every array of all fifty tasks."""
DATA_FIELDS = ("xpos", "xquat", "xmat", "geom_xpos", "geom_xmat", "site_xpos", "site_xmat")
"""What metaworld reads of the data besides the state. After some resets they are older than the state, since
metaworld moves joints without `mj_forward`: window-close first sees its handle where it was 0.2 m ago."""


SIMULATION = ("data", "model", "mujoco_renderer")
"""Attributes that are the simulation, not what a reset leaves."""


class View(NamedTuple):
    """An attribute that is no value, but a window on simulator memory: it moves with every step.

    Metaworld's `init_left_pad` is one, although its name promises the pad's initial position.
    """

    field: str
    """Array of the data: `xpos` or `site_xpos`."""
    row: int
    """The number of the body or site."""

    def of(self, data: mujoco.MjData) -> np.ndarray:
        """This window on the memory of another simulator, `[3]`."""
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
    """All other attributes of the environment, by name; those of `SIMULATION` aside."""
    views: Mapping[str, View]
    """Attributes that are windows on simulator memory."""
    low: np.ndarray
    """What observations are clipped to from below, `[O]`: the goal's box is there."""
    high: np.ndarray
    """What observations are clipped to from above, `[O]`."""

    def place_data(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        """Write the state, and the positions that belong to it."""
        mujoco.mj_setState(model, data, self.state, _STATE)
        for field, value in self.data.items():
            getattr(data, field)[:] = value

    def place_attributes(self, env: SawyerXYZEnv, data: mujoco.MjData) -> None:
        """Write the attributes of an environment whose simulator memory is `data`."""
        vars(env).update(self.attributes)
        for name, view in self.views.items():
            setattr(env, name, view.of(data))


class _HandMovedOnce(SawyerXYZEnv):
    """Stands in front of a task's class, so that a reset moves the hand once.

    Of its two `reset_model`, the first counts for what it writes into the model alone, since its data are reset before
    the second.
    """

    def reset(self, **options: Any) -> tuple[np.ndarray, dict[str, Any]]:
        """Reset as metaworld does, but for the first of two moves of the hand."""
        self._counts = False
        return super().reset(**options)

    def _reset_hand(self, *steps: int) -> None:
        if self._counts:
            super()._reset_hand(*steps)
        else:
            self.init_tcp = self.tcp_center
        self._counts = True


def resetting_env(task: str, reward_version: str) -> SawyerXYZEnv:
    """An environment of a task (V3 name) for `capture`: 0.1 s to compile the model, 25 MB."""
    stock = ALL_V3_ENVIRONMENTS[task]
    return type(stock.__name__, (_HandMovedOnce, stock), {})(reward_function_version=reward_version)


def capture(env: SawyerXYZEnv, goal: np.ndarray) -> EpisodeStart:
    """Reset a `resetting_env` to a goal vector `[3 or 6]` (goal visible), and keep what that leaves."""
    env.set_task(visible_goal(goal))
    obs, _ = env.reset()
    bounds = env.sawyer_observation_space  # made when it is first asked for
    state = np.empty(mujoco.mj_stateSize(env.model, _STATE))
    mujoco.mj_getState(env.model, env.data, state, _STATE)
    attributes = {name: value for name, value in vars(env).items() if name not in SIMULATION}
    views = {name: view for name, value in attributes.items() if (view := view_of(value, env.data))}
    return EpisodeStart(
        obs=_frozen(obs),
        state=state,  # the binding of mj_setState wants a writable one
        model={field: _frozen(getattr(env.model, field)) for field in MODEL_FIELDS},
        data={field: _frozen(getattr(env.data, field)) for field in DATA_FIELDS},
        attributes={name: _frozen(value) for name, value in attributes.items() if name not in views},
        views=views,
        low=bounds.low,
        high=bounds.high,
    )


def visible_goal(goal: np.ndarray) -> Task:
    """A goal vector as the `set_task` of every task takes it."""
    data = {"env_cls": SawyerXYZEnv, "rand_vec": goal, "partially_observable": False}
    return Task(env_name="", data=pickle.dumps(data))


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


def _frozen(value: Any) -> Any:
    """A copy that nobody can write to, if it is an array: it is shared by all episodes of a goal."""
    if not isinstance(value, np.ndarray):
        return value
    value = value.copy()
    value.flags.writeable = False
    return value
