"""A stock environment without what costs time and changes nothing.

Of a stock step (230 to 730 us) less than half is physics. The rest looks up names, wraps arrays, checks
types, and writes what nobody reads: target sites that `mj_forward` overwrites at once, contact forces on
bodies (`mj_rnePostConstraint`). Rewards and object poses are metaworld's own code (`rescoped`).
"""

import functools
import math
from collections.abc import Callable
from typing import Any, cast, final

import mujoco
import numpy as np
from gymnasium.spaces import Box
from metaworld.sawyer_xyz_env import SawyerXYZEnv

from mtrl.envs.metaworld.episode_start import EpisodeStart, view_of
from mtrl.envs.metaworld.named import NamedAccess
from mtrl.envs.metaworld.rescoped import rescoped_methods

_HAND_DOWN = np.array([1.0, 0.0, 1.0, 0.0])
"""Metaworld's orientation of the hand; written each step, since MuJoCo resets a simulation that blows up."""


@final
class SharedModel:
    """The model of all environments of a task; whoever steps puts its own goal in first."""

    def __init__(self, model: mujoco.MjModel) -> None:
        self.model = model
        self._placed: EpisodeStart | None = None

    def place(self, start: EpisodeStart) -> None:
        """Have the goal of this start in the model."""
        if self._placed is not start:
            start.place_model(self.model)
            self._placed = start

    def forget(self) -> None:
        """Someone else wrote to the model."""
        self._placed = None


class LightEnv:
    """The overrides; `light_env` makes instances of a class that has them in front of a task's own."""

    # What metaworld's class has, after which this one's overrides stand.
    sawyer_observation_space: Box
    evaluate_state: Callable[[np.ndarray, np.ndarray], tuple[float, dict[str, Any]]]
    _get_pos_objects: Callable[[], np.ndarray]
    _get_quat_objects: Callable[[], np.ndarray]
    action_scale: float
    frame_skip: int
    mocap_low: np.ndarray
    mocap_high: np.ndarray
    _prev_obs: np.ndarray
    _target_pos: np.ndarray

    def begin(self, start: EpisodeStart) -> np.ndarray:
        """Begin an episode: the first observation, `[O]`."""
        self._start = start
        start.place_data(self._shared.model, self._mj)
        start.place_attributes(cast(SawyerXYZEnv, self), self._mj)
        space = self.sawyer_observation_space
        self._low, self._high = space.low, space.high
        return start.obs.copy()

    def advance(self, action: np.ndarray) -> tuple[np.ndarray, float, bool]:
        """Take action `[A]`, float32; the next observation `[O]`, the reward and whether this step is a success."""
        self._shared.place(self._start)
        model, data = self._shared.model, self._mj
        self._mocap += action[:3].clip(-1, 1) * self.action_scale
        self._mocap.clip(self.mocap_low, self.mocap_high, out=self._mocap)
        self._mocap_quat[:] = _HAND_DOWN
        self._ctrl[0], self._ctrl[1] = action[3], -action[3]
        mujoco.mj_step(model, data, self.frame_skip)
        mujoco.mj_forward(model, data)
        obs = self._observe()
        reward, info = self.evaluate_state(obs, action)
        return obs, reward, bool(info["success"])

    def _observe(self) -> np.ndarray:
        """As `_get_obs`, clipped as `step` does: this frame 18, the last frame 18, the goal 3."""
        obs = np.zeros(39)
        obs[:3] = self._hand
        apart = self._right_claw - self._left_claw
        obs[3] = min(max(math.sqrt(apart.dot(apart)) / 0.1, 0.0), 1.0)
        positions, quaternions = self._get_pos_objects(), self._get_quat_objects()
        for number in range(len(positions) // 3):
            at = 4 + 7 * number
            obs[at : at + 3] = positions[3 * number : 3 * number + 3]
            obs[at + 3 : at + 7] = quaternions[4 * number : 4 * number + 4]
        obs[18:36] = self._prev_obs
        self._prev_obs = obs[:18].copy()
        obs[36:] = self._target_pos
        return obs.clip(self._low, self._high, out=obs)

    def get_body_com(self, body_name: str) -> np.ndarray:
        """A body's position, live, `[3]`."""
        return self.data.body(body_name).xpos

    def _get_site_pos(self, site_name: str) -> np.ndarray:
        return self.data.site(site_name).xpos.copy()

    @property
    def tcp_center(self) -> np.ndarray:
        """The point between the fingers, `[3]`."""
        return (self._right_finger + self._left_finger) / 2.0

    def touching_object(self, object_geom_id: int) -> bool:
        """Whether both finger pads press on a geom."""
        data = self._mj
        if data.ncon == 0:
            return False
        contact = data.contact
        left = right = 0.0
        for pair, address in zip(contact.geom.tolist(), contact.efc_address.tolist(), strict=True):
            if object_geom_id in pair:
                if self._left_pad in pair:
                    left += data.efc_force[address]
                if self._right_pad in pair:
                    right += data.efc_force[address]
        return bool(left > 0 and right > 0)

    def _attach(self, shared: SharedModel, stock: SawyerXYZEnv) -> None:
        """Take over the attributes of a stock environment, with memory of our own for the simulation."""
        own = mujoco.MjData(shared.model)
        for name, value in vars(stock).items():
            if name not in ("data", "model", "mujoco_renderer"):
                view = view_of(value, stock.data)
                vars(self)[name] = view.of(own) if view else value
        self._shared, self._mj = shared, own
        self.data, self.model = NamedAccess(own), NamedAccess(shared.model)
        self._mocap, self._mocap_quat, self._ctrl = own.mocap_pos[0], own.mocap_quat[0], own.ctrl
        self._hand = self.data.body("hand").xpos
        self._right_claw, self._left_claw = self.data.body("rightclaw").xpos, self.data.body("leftclaw").xpos
        self._right_finger = self.data.site("rightEndEffector").xpos
        self._left_finger = self.data.site("leftEndEffector").xpos
        self._left_pad, self._right_pad = self.data.geom("leftpad_geom").id, self.data.geom("rightpad_geom").id


def light_env(stock: SawyerXYZEnv, shared: SharedModel) -> LightEnv:
    """A light environment of the same task as a stock one, on the shared model, with data of its own."""
    stock_class: Any = type(stock)
    env = object.__new__(_light_class(stock_class))
    env._attach(shared, stock)
    return env


@functools.cache
def _light_class(env_class: type[SawyerXYZEnv]) -> Any:
    rescoped = type(f"Rescoped{env_class.__name__}", (env_class,), rescoped_methods(env_class))
    return type(f"Light{env_class.__name__}", (LightEnv, rescoped), {})
