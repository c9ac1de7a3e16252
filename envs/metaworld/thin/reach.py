"""Reach: the finger tips go to the goal (metaworld's `SawyerReachEnvV3`, V2 reward)."""

import numpy as np
from metaworld.sawyer_xyz_env import SawyerXYZEnv

from mtrl.envs.metaworld.thin.task import Distance, Orientation, Point, Readings, Start, ThinTask
from mtrl.envs.metaworld.thin.tolerance import long_tail

_RADIUS = 0.05


def _start(env: SawyerXYZEnv) -> Start:
    margin = np.linalg.norm(env.hand_init_pos - env._target_pos)
    return Start({"target": env._target_pos}, (float(margin),))


def _reward(now: Readings) -> tuple[np.ndarray, np.ndarray]:
    to_target = now.distances[:, 0]
    return 10 * long_tail(to_target - _RADIUS, now.margins[:, 0]), to_target <= _RADIUS


REACH = ThinTask(
    object=Point("body", "obj"),
    orientation=Orientation("geom matrix", "objGeom"),
    start=_start,
    reward=_reward,
    distances=(Distance("tcp", "target"),),
)
