"""An environment of a task without what costs time and changes nothing.

Of a stock step (230 to 730 us) less than half is physics. The rest looks up names, wraps arrays, checks
types, and writes what nobody reads: target sites that `mj_forward` overwrites at once, contact forces on
bodies (`mj_rnePostConstraint`). Rewards and object poses are metaworld's own code (`cheap_task`).
"""

import functools
import math
from typing import Any

import mujoco
import numpy as np
from metaworld.sawyer_xyz_env import SawyerXYZEnv

from mtrl.envs.metaworld.internals.cheap_task import cheap_base, cheap_task
from mtrl.envs.metaworld.internals.episode_start import MODEL_FIELDS, EpisodeStart
from mtrl.envs.metaworld.internals.named import NamedAccess

_HAND_DOWN = np.array([1.0, 0.0, 1.0, 0.0])
"""Metaworld's orientation of the hand; written each step, since MuJoCo resets a simulation that blows up."""


class SharedModel:
    """The model of all environments of a task; whoever steps puts its own goal in first."""

    def __init__(self, model: mujoco.MjModel) -> None:
        self.model = model
        self._fields = [(getattr(model, field), field) for field in MODEL_FIELDS]
        self._placed: EpisodeStart | None = None

    def place(self, start: EpisodeStart) -> None:
        """Have the goal of this start in the model."""
        if self._placed is not start:
            for field, name in self._fields:
                field[:] = start.model[name]
            self._placed = start

    def forget(self) -> None:
        """Someone else wrote to the model."""
        self._placed = None


class LightEnv(SawyerXYZEnv):
    """The overrides; `light_env` makes instances of a class that has them in front of a task's own."""

    def __init__(self, shared: SharedModel, reward_version: str) -> None:
        """An environment on a model that is there already, with simulator memory of its own."""
        self._shared = shared
        super().__init__(reward_function_version=reward_version)
        self.data, self.model = NamedAccess(self._mj), NamedAccess(shared.model)

    def _initialize_simulation(self) -> tuple[mujoco.MjModel, mujoco.MjData]:
        """Called by Gymnasium's constructor, where its own compiles the model: 0.1 s and 25 MB."""
        self._mj = own = mujoco.MjData(self._shared.model)
        self.mocap, self._mocap_quat, self._ctrl = own.mocap_pos[0], own.mocap_quat[0], own.ctrl
        bodies, sites = _Positions(own.body), _Positions(own.site)
        self._body_positions, self._site_positions = bodies, sites
        self._hand, self._right_claw, self._left_claw = bodies["hand"], bodies["rightclaw"], bodies["leftclaw"]
        self._right_finger, self._left_finger = sites["rightEndEffector"], sites["leftEndEffector"]
        self._left_pad, self._right_pad = own.geom("leftpad_geom").id, own.geom("rightpad_geom").id
        return self._shared.model, own

    @property
    def physics(self) -> tuple[mujoco.MjModel, mujoco.MjData, int]:
        """The simulation, and how many steps of it are one of ours."""
        return self._shared.model, self._mj, self.frame_skip

    def begin(self, start: EpisodeStart) -> np.ndarray:
        """Begin an episode: the first observation, `[O]`."""
        self._start = start
        start.place_data(self._shared.model, self._mj)
        start.place_attributes(self, self._mj)
        self._frame = start.obs.copy()
        self._low, self._high = start.low, start.high
        return start.obs.copy()

    def simulate(self, pull: np.ndarray, control: np.ndarray) -> None:
        """Five steps of physics with the hand pulled to `pull` `[3]` and the fingers driven by `control` `[2]`."""
        self._shared.place(self._start)
        self.mocap[:] = pull
        self._mocap_quat[:] = _HAND_DOWN
        self._ctrl[:] = control
        mujoco.mj_step(self._shared.model, self._mj, self.frame_skip)
        mujoco.mj_forward(self._shared.model, self._mj)

    def judge(self, action: np.ndarray, obs: np.ndarray) -> tuple[float, float]:
        """Reward of the action `[A]` float32 that led to the present state, and whether that is a success.

        Writes the observation to `obs`, `[O]`.
        """
        self._shared.place(self._start)  # some rewards look into the model
        self._observe(obs)
        reward, info = self.evaluate_state(obs, action)
        return reward, info["success"]

    def _observe(self, obs: np.ndarray) -> None:
        """Write the observation that `step` would return: this frame 18, the last frame 18, the goal 3, clipped."""
        frame = self._frame
        frame[18:36] = frame[:18]
        frame[:3] = self._hand
        apart = self._right_claw - self._left_claw
        frame[3] = min(math.sqrt(apart.dot(apart)) / 0.1, 1.0)
        positions, quaternions = self._get_pos_objects(), self._get_quat_objects()
        if len(positions) == 3:
            frame[4:7], frame[7:11] = positions, quaternions
        else:
            frame[4:18].reshape(2, 7)[:, :3] = positions.reshape(2, 3)
            frame[4:18].reshape(2, 7)[:, 3:] = quaternions.reshape(2, 4)
        frame[36:] = self._target_pos
        np.minimum(np.maximum(frame, self._low, out=obs), self._high, out=obs)

    def get_body_com(self, body_name: str) -> np.ndarray:
        """A body's position, live, `[3]`."""
        return self._body_positions[body_name]

    def _get_site_pos(self, site_name: str) -> np.ndarray:
        return self._site_positions[site_name].copy()

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


class _Positions(dict[str, np.ndarray]):
    """Windows on the positions of bodies or sites, by name, looked up once."""

    def __init__(self, find: Any) -> None:
        self._find = find

    def __missing__(self, name: str) -> np.ndarray:
        self[name] = self._find(name).xpos
        return self[name]


def light_env(task: str, shared: SharedModel, reward_version: str) -> LightEnv:
    """A light environment of a task (V3 name) on the shared model."""
    return _light_class(task)(shared, reward_version)


@functools.cache
def _light_class(task: str) -> Any:
    own = cheap_task(task)
    return type(f"Light{own.__name__}", (LightEnv, own, cheap_base()), {})
