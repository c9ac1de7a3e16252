"""Drawer-open: the drawer is pulled by its handle (metaworld's `SawyerDrawerOpenEnvV3`, V2 reward)."""

import numpy as np
from metaworld.sawyer_xyz_env import SawyerXYZEnv

from mtrl.envs.metaworld.thin.task import Distance, Orientation, Point, Readings, Start, ThinTask, Vector
from mtrl.envs.metaworld.thin.tolerance import long_tail

_PULL = 0.2
_FIRST_ABOVE: Vector = (3.0, 3.0, 1.0)
"""An error in x and y counts more, so that the gripper comes from above."""
_REACHED = np.array([0.02, 0.01])


def _start(env: SawyerXYZEnv) -> Start:
    closed = env._target_pos + np.array([0.0, _PULL, 0.0])
    caging_margin = np.linalg.norm((closed - env.init_tcp) * _FIRST_ABOVE)
    return Start({"target": env._target_pos}, (_PULL, float(caging_margin)))


def _reward(now: Readings) -> tuple[np.ndarray, np.ndarray]:
    opening, caging = long_tail(now.distances - _REACHED, now.margins).T
    return (caging + opening) * 5.0, now.distances[:, 0] <= 0.03


DRAWER_OPEN = ThinTask(
    object=Point("body", "drawer_link"),
    object_offset=(0.0, -0.16, 0.0),
    orientation=Orientation("quaternion", "drawer_link"),
    moved_body="drawer",
    start=_start,
    reward=_reward,
    distances=(Distance("object", "target"), Distance("object", "hand", _FIRST_ABOVE)),
)
