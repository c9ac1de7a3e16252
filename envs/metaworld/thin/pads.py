"""The two finger pads beside the object, along y, as push and peg-insert-side reward them.

Axes: n environments.
"""

import numpy as np
from metaworld.sawyer_xyz_env import SawyerXYZEnv

from mtrl.envs.metaworld.thin.task import Point, Readings

PADS = (Point("body", "leftpad"), Point("body", "rightpad"))
"""To be the first two of a task's points."""
INITIAL_Y = 2
"""Where `Readings.margins` has what `around_start` gives: the margin before it, this number, in this order."""


def around_start(env: SawyerXYZEnv, xz_reach: float) -> tuple[float, float]:
    """The margin of the distance in the plane of x and z, and the object's initial y; the second and third of
    a task's margins."""
    initial = env.obj_init_pos
    margin = np.linalg.norm(initial[[0, 2]] - env.init_tcp[[0, 2]]) - xz_reach
    return float(margin), float(initial[1])


def outside(now: Readings, radius: float, reach: float) -> tuple[np.ndarray, np.ndarray]:
    """How far left and right pad are outside of `[radius, reach]` from the object, and the margins for it.

    Returns:
        Two arrays `[n, 4]` with columns 0 and 1 filled in; the task fills in the others, so that one call
        computes all of its tolerances.
    """
    pad_y = now.points[:, :2, 1]
    distance = np.abs(pad_y - now.object[:, 1:2])
    out, margin = np.empty((len(pad_y), 4)), np.empty((len(pad_y), 4))
    np.maximum(radius - distance, distance - reach, out=out[:, :2])
    # The margin is wide where the pad has left the object's initial place, whatever the object did.
    np.abs(np.abs(pad_y - now.margins[:, INITIAL_Y : INITIAL_Y + 1]) - reach, out=margin[:, :2])
    return out, margin
