"""Button-press-topdown: the button is pressed from above (metaworld's `SawyerButtonPressTopdownEnvV3`, V2)."""

import numpy as np
from metaworld.sawyer_xyz_env import SawyerXYZEnv

from mtrl.envs.metaworld.thin.task import Distance, Orientation, Point, Readings, Start, ThinTask
from mtrl.envs.metaworld.thin.tolerance import hamacher, long_tail


def _start(env: SawyerXYZEnv) -> Start:
    return Start({"target": env._target_pos, "initial tcp": env.init_tcp}, (float(env._obj_to_target_init),))


def _reward(now: Readings) -> tuple[np.ndarray, np.ndarray]:
    to_tcp, to_initial_tcp = now.distances.T
    to_target = np.abs(now.target[:, 2] - now.object[:, 2])
    out, margin = np.empty((len(to_tcp), 2)), np.empty((len(to_tcp), 2))
    # The margin moves with the button: metaworld measures from the button's present place.
    out[:, 0], margin[:, 0] = to_tcp - 0.01, to_initial_tcp
    out[:, 1], margin[:, 1] = to_target - 0.005, now.margins[:, 0]
    near, pressed = long_tail(out, margin).T
    reward = 5 * hamacher(1 - now.gripper, near)
    return np.where(to_tcp <= 0.03, reward + 5 * pressed, reward), to_target <= 0.024


BUTTON_PRESS_TOPDOWN = ThinTask(
    object=Point("body", "button"),
    object_offset=(0.0, 0.0, 0.193),
    orientation=Orientation("quaternion", "button"),
    moved_body="box",
    start=_start,
    reward=_reward,
    distances=(Distance("object", "tcp"), Distance("object", "initial tcp")),
)
