"""Drawer-close: the drawer is pushed shut (metaworld's `SawyerDrawerCloseEnvV3`, V2 reward)."""

import numpy as np
from metaworld.sawyer_xyz_env import SawyerXYZEnv

from mtrl.envs.metaworld.thin.precision import half_closed, in_single_where
from mtrl.envs.metaworld.thin.task import Distance, Point, Readings, Start, ThinTask
from mtrl.envs.metaworld.thin.tolerance import gaussian, hamacher, long_tail

_RADIUS, _REACH_RADIUS = 0.05, 0.005


def _start(env: SawyerXYZEnv) -> Start:
    to_target = np.linalg.norm(env.obj_init_pos - env._target_pos)
    to_tcp = np.linalg.norm(env.obj_init_pos - env.init_tcp)
    return Start({"target": env._target_pos}, (float(abs(to_target - _RADIUS)), float(abs(to_tcp - _REACH_RADIUS))))


def _reward(now: Readings) -> tuple[np.ndarray, np.ndarray]:
    to_target, to_tcp = now.distances.T
    in_place = long_tail(to_target - _RADIUS, now.margins[:, 0])
    reach = gaussian(to_tcp - _REACH_RADIUS, now.margins[:, 1])
    effort = now.action[:, 3]
    closed = np.minimum(np.maximum(effort, 0.0), 1.0).astype(np.float64)
    success = to_target <= _RADIUS + 0.015
    reward = in_single_where(half_closed(effort), _product, reach, closed, in_place)
    reward[success] = 10.0
    return reward, success


def _product(reach: np.ndarray, closed: np.ndarray, in_place: np.ndarray) -> np.ndarray:
    return hamacher(hamacher(reach, closed), in_place) * 10


DRAWER_CLOSE = ThinTask(
    object=Point("body", "drawer_link"),
    object_offset=(0.0, -0.16, 0.05),
    moved_body="drawer",
    start=_start,
    reward=_reward,
    distances=(Distance("object", "target"), Distance("object", "tcp")),
)
