"""Door-open: the door is pulled by its handle (metaworld's `SawyerDoorEnvV3`, V2 reward)."""

import numpy as np
from metaworld.sawyer_xyz_env import SawyerXYZEnv

from mtrl.envs.metaworld.thin.task import Orientation, Point, Readings, Start, ThinTask
from mtrl.envs.metaworld.thin.tolerance import hamacher, long_tail

_TO_DOOR = np.array([-0.05, 0.0, 0.0])
_TO_GRIP = np.array([0.05, 0.03, -0.01])
_FUNNEL_RADIUS = 0.12
_OPEN_ANGLE = np.pi / 2.0 + np.pi / 6


def _start(env: SawyerXYZEnv) -> Start:
    return Start({"target": env._target_pos}, ())


def _reward(now: Readings) -> tuple[np.ndarray, np.ndarray]:
    hand, angle = now.hand, now.joint
    apart = hand - (now.object + _TO_DOOR)
    radius, to_grip = _norm(np.ascontiguousarray(apart[:, :2])), _norm(apart - _TO_GRIP)
    beyond = radius - _FUNNEL_RADIUS
    # A funnel around the handle, above which the hand should come; no floor inside.
    floor = np.where(radius <= _FUNNEL_RADIUS, 0.0, 0.04 * np.log(np.maximum(beyond, 1e-12)) + 0.4)
    to_open = _OPEN_ANGLE - -angle

    out, margin = np.empty((len(hand), 3)), np.empty((len(hand), 3))
    out[:, 0], margin[:, 0] = floor - hand[:, 2] - 0.01, np.where(floor > 0, floor / 2.0, 1.0)
    out[:, 1], margin[:, 1] = to_grip - _FUNNEL_RADIUS / 2.0, 0.5
    out[:, 2], margin[:, 2] = np.maximum(-to_open, to_open - 0.5), np.pi / 3.0
    above_floor, in_place, wide = long_tail(out, margin).T

    grip = ((np.minimum(np.maximum(now.action[:, 3], -1), 1) + 1) / 2).astype(np.float64)  # float32 until here
    ready = hamacher(above_floor, in_place)
    opened = 0.2 * (angle < -np.pi / 90.0) + 0.8 * wide
    success = np.abs(now.object[:, 0] - now.target[:, 0]) <= 0.08
    reward = 2.0 * hamacher(ready, grip) + 8.0 * opened
    reward[success] = 10.0
    return reward, success


def _norm(vectors: np.ndarray) -> np.ndarray:
    return np.sqrt(np.vecdot(vectors, vectors))


DOOR_OPEN = ThinTask(
    object=Point("geom", "handle"),
    orientation=Orientation("geom matrix", "handle"),
    joint="doorjoint",
    moved_body="door",
    start=_start,
    reward=_reward,
    distances=(),
)
