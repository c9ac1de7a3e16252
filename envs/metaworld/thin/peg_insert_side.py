"""Peg-insert-side: the peg is lifted and put into the hole (metaworld's `SawyerPegInsertionSideEnvV3`, V2)."""

import numpy as np
from metaworld.sawyer_xyz_env import SawyerXYZEnv

from mtrl.envs.metaworld.thin.caging import grasped
from mtrl.envs.metaworld.thin.pads import PADS, around_start, outside
from mtrl.envs.metaworld.thin.precision import in_single_where
from mtrl.envs.metaworld.thin.task import XZ, Distance, Orientation, Point, Readings, Start, ThinTask, Vector
from mtrl.envs.metaworld.thin.tolerance import hamacher, long_tail

_RADIUS = 0.07
_OBJECT_RADIUS, _PAD_REACH, _XZ_REACH = 0.0075, 0.03, 0.005
_ACROSS: Vector = (1.0, 2.0, 2.0)
"""An error across the hole counts double."""


def _start(env: SawyerXYZEnv) -> Start:
    in_place_margin = np.linalg.norm((env.peg_head_pos_init - env._target_pos) * _ACROSS)
    margins = (float(in_place_margin), *around_start(env, _XZ_REACH), float(env.obj_init_pos[2]))
    return Start({"target": env._target_pos}, margins)


def _reward(now: Readings) -> tuple[np.ndarray, np.ndarray]:
    to_target, to_tcp, to_tcp_xz = now.distances.T
    out, margin = outside(now, _OBJECT_RADIUS, _PAD_REACH)
    out[:, 2], margin[:, 2] = to_tcp_xz - _XZ_REACH, now.margins[:, 1]
    out[:, 3], margin[:, 3] = to_target - _RADIUS, now.margins[:, 0]
    left, right, xz, in_place = long_tail(out, margin).T
    free, collides = _free_of_collision(now.points[:, 2:3], now.points[:, 3:5], now.points[:, 5:7])
    in_place = hamacher(in_place, free)

    held, single = grasped(left, right, xz, now.action[:, 3])
    lifted = (to_tcp < 0.08) & (now.gripper > 0) & (now.object[:, 2] - 0.01 > now.margins[:, 3])
    # Lifted, the grasp is Python's 1.0; in a collision box `in_place` is numpy's: both make it double precision.
    single &= ~(lifted | collides)
    reward = in_single_where(single, hamacher, np.where(lifted, 1.0, held), in_place)
    reward = np.where(lifted, reward + (1.0 + 5 * in_place), reward)
    success = to_target <= _RADIUS
    reward[success] = 10.0
    return reward, success


def _free_of_collision(head: np.ndarray, zero: np.ndarray, one: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """1 away from the two boxes below and beside the hole; inside one, from 0 at one corner to 1 at the other.

    Args:
        head: the peg's head, `[n, 1, 3]`.
        zero: corners of the boxes, `[n, 2, 3]`.
        one: opposite corners, `[n, 2, 3]`.

    Returns:
        The factor `[n]`, and where the head is in a box, `[n]` bool.
    """
    inside = ((np.minimum(zero, one) <= head) & (head <= np.maximum(zero, one))).all(axis=2)
    collides = inside.any(axis=1)
    if not np.count_nonzero(collides):
        return np.ones(len(head)), collides
    x, y, z = np.moveaxis((head - zero) / (one - zero), 2, 0)
    first, second = np.where(inside, x * y * z, 1.0).T
    return hamacher(second, first), collides


PEG_INSERT_SIDE = ThinTask(
    object=Point("site", "pegGrasp"),
    orientation=Orientation("site matrix", "pegGrasp"),
    points=(
        *PADS,
        Point("site", "pegHead"),
        Point("site", "bottom_right_corner_collision_box_1"),
        Point("site", "bottom_right_corner_collision_box_2"),
        Point("site", "top_left_corner_collision_box_1"),
        Point("site", "top_left_corner_collision_box_2"),
    ),
    moved_body="box",
    start=_start,
    reward=_reward,
    distances=(Distance("pegHead", "target", _ACROSS), Distance("object", "tcp"), Distance("tcp", "object", XZ)),
)
