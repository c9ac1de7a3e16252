"""Push: the object slides to the goal (metaworld's `SawyerPushEnvV3`, V2 reward)."""

import numpy as np
from metaworld.sawyer_xyz_env import SawyerXYZEnv

from mtrl.envs.metaworld.thin.caging import grasped
from mtrl.envs.metaworld.thin.pads import PADS, around_start, outside
from mtrl.envs.metaworld.thin.precision import in_single_where
from mtrl.envs.metaworld.thin.task import XZ, Distance, Orientation, Point, Readings, Start, ThinTask
from mtrl.envs.metaworld.thin.tolerance import long_tail

_RADIUS = 0.05
_OBJECT_RADIUS, _PAD_REACH, _XZ_REACH = 0.015, 0.05, 0.005


def _start(env: SawyerXYZEnv) -> Start:
    in_place_margin = np.linalg.norm(env.obj_init_pos - env._target_pos)
    return Start({"target": env._target_pos}, (float(in_place_margin), *around_start(env, _XZ_REACH)))


def _reward(now: Readings) -> tuple[np.ndarray, np.ndarray]:
    to_target, to_tcp, to_tcp_xz = now.distances.T
    out, margin = outside(now, _OBJECT_RADIUS, _PAD_REACH)
    out[:, 2], margin[:, 2] = to_tcp_xz - _XZ_REACH, now.margins[:, 1]
    out[:, 3], margin[:, 3] = to_target - _RADIUS, now.margins[:, 0]
    left, right, xz, in_place = long_tail(out, margin).T

    held, single = grasped(left, right, xz, now.action[:, 3])
    near = (to_tcp < 0.02) & (now.gripper > 0)
    reward = in_single_where(single, _added, held, 5.0 * in_place, near)
    reward[to_target < _RADIUS] = 10.0
    return reward, to_target <= _RADIUS


def _added(held: np.ndarray, in_place: np.ndarray, near: np.ndarray) -> np.ndarray:
    held = 2 * held
    return np.where(near, held + (1 + held + in_place), held)


PUSH = ThinTask(
    object=Point("body", "obj"),
    orientation=Orientation("geom matrix", "objGeom"),
    points=PADS,
    start=_start,
    reward=_reward,
    distances=(Distance("object", "target"), Distance("object", "tcp"), Distance("tcp", "object", XZ)),
)
