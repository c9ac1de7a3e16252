"""Window-close: the window is slid shut by its handle (metaworld's `SawyerWindowCloseEnvV3`, V2 reward)."""

import numpy as np
from metaworld.sawyer_xyz_env import SawyerXYZEnv

from mtrl.envs.metaworld.thin.task import Distance, Point, Readings, Start, ThinTask
from mtrl.envs.metaworld.thin.tolerance import gaussian, hamacher, long_tail

_RADIUS, _HANDLE_RADIUS = 0.05, 0.02


def _start(env: SawyerXYZEnv) -> Start:
    to_target = abs(env.window_handle_pos_init[0] - env._target_pos[0])
    to_tcp = np.linalg.norm(env.window_handle_pos_init - env.init_tcp)
    return Start({"target": env._target_pos}, (float(abs(to_target - _RADIUS)), float(abs(to_tcp - _HANDLE_RADIUS))))


def _reward(now: Readings) -> tuple[np.ndarray, np.ndarray]:
    to_target = np.abs(now.object[:, 0] - now.target[:, 0])
    in_place = long_tail(to_target - _RADIUS, now.margins[:, 0])
    reach = gaussian(now.distances[:, 0] - _HANDLE_RADIUS, now.margins[:, 1])
    return 10 * hamacher(reach, in_place), to_target <= _RADIUS


WINDOW_CLOSE = ThinTask(
    object=Point("site", "handleCloseStart"),
    moved_body="window",
    start=_start,
    reward=_reward,
    distances=(Distance("object", "tcp"),),
)
