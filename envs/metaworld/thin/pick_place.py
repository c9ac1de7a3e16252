"""Pick-place: the object is lifted to the goal (metaworld's `SawyerPickPlaceEnvV3`, V2 reward)."""

import numpy as np
from metaworld.sawyer_xyz_env import SawyerXYZEnv

from mtrl.envs.metaworld.thin.caging import grasped
from mtrl.envs.metaworld.thin.pads import PADS
from mtrl.envs.metaworld.thin.precision import in_single_where
from mtrl.envs.metaworld.thin.task import XZ, Distance, Orientation, Point, Readings, Start, ThinTask
from mtrl.envs.metaworld.thin.tolerance import hamacher, long_tail

_RADIUS, _SUCCESS_RADIUS = 0.05, 0.07
_OBJECT_RADIUS, _PAD_REACH, _XZ_REACH = 0.015, 0.05, 0.005
_LEFT_RIGHT = np.array([1.0, -1.0])


def _start(env: SawyerXYZEnv) -> Start:
    initial = env.obj_init_pos
    in_place_margin = np.linalg.norm(initial - env._target_pos)
    xz_margin = np.linalg.norm((initial - env.init_tcp) * XZ) - _XZ_REACH
    return Start({"target": env._target_pos}, (float(in_place_margin), float(xz_margin), float(initial[2])))


def _reward(now: Readings) -> tuple[np.ndarray, np.ndarray]:
    to_target, to_tcp, to_tcp_xz = now.distances.T
    out, margin = np.empty((len(to_tcp), 4)), np.empty((len(to_tcp), 4))
    beside = (now.points[:, :, 1] - now.object[:, 1:2]) * _LEFT_RIGHT
    np.maximum(_OBJECT_RADIUS - beside, beside - _PAD_REACH, out=out[:, :2])
    # Metaworld means the initial pads here, but reads a view that shows the present ones.
    np.abs(np.abs(beside) - _PAD_REACH, out=margin[:, :2])
    out[:, 2], margin[:, 2] = to_tcp_xz - _XZ_REACH, now.margins[:, 1]
    out[:, 3], margin[:, 3] = to_target - _RADIUS, now.margins[:, 0]
    left, right, xz, in_place = long_tail(out, margin).T

    held, single = grasped(left, right, xz, now.action[:, 3])
    lifted = (to_tcp < 0.02) & (now.gripper > 0) & (now.object[:, 2] - 0.01 > now.margins[:, 2])
    reward = in_single_where(single, _added, held, in_place, 1 + 5 * in_place, lifted)
    reward[to_target < _RADIUS] = 10.0
    return reward, to_target <= _SUCCESS_RADIUS


def _added(held: np.ndarray, in_place: np.ndarray, bonus: np.ndarray, lifted: np.ndarray) -> np.ndarray:
    product = hamacher(held, in_place)
    return np.where(lifted, product + bonus, product)


PICK_PLACE = ThinTask(
    object=Point("body", "obj"),
    orientation=Orientation("geom matrix", "objGeom"),
    points=PADS,
    start=_start,
    reward=_reward,
    distances=(Distance("object", "target"), Distance("object", "tcp"), Distance("tcp", "object", XZ)),
)
