"""How well the gripper holds the object: metaworld's `_gripper_caging_reward` with `high_density`.

Axes: n environments.
"""

import numpy as np

from mtrl.envs.metaworld.thin.precision import half_closed, in_single_where
from mtrl.envs.metaworld.thin.tolerance import hamacher

_CAGED = 0.97
"""Closing the gripper pays above this."""


def grasped(left: np.ndarray, right: np.ndarray, xz: np.ndarray, effort: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean of caging, and caging times the gripper's effort.

    Args:
        left: tolerance of the left pad's distance to the object along y, `[n]`.
        right: of the right pad's, `[n]`.
        xz: of the tool centre's distance in the plane of x and z, `[n]`.
        effort: the action's gripper effort, `[n]` float32.

    Returns:
        The reward `[n]`, float64, and where metaworld has it in single precision, `[n]` bool.
    """
    caging = hamacher(hamacher(left, right), xz)
    caged = caging > _CAGED
    gripping = np.minimum(np.maximum(effort, 0.0), 1.0) * caged
    single = caged & half_closed(effort)
    return in_single_where(single, _mean_with_product, caging, gripping.astype(np.float64)), single


def _mean_with_product(caging: np.ndarray, gripping: np.ndarray) -> np.ndarray:
    return (hamacher(caging, gripping) + caging) / 2
