"""The small numerics of metaworld's rewards and observations, cheap for one number or one matrix.

Every function equals the one that it stands for bit for bit: the same operations on the same doubles, without
the handling of arrays around them (a `tolerance` takes 0.5 us instead of 12, a quaternion 1.5 instead of 50).
"""

import math
from typing import Any, Self, final

import numpy as np
from metaworld.utils import reward_utils

from mtrl.envs.metaworld.quaternion import quaternion

_VALUE_AT_MARGIN = 0.1
_LONG_TAIL = float(np.sqrt(1 / _VALUE_AT_MARGIN - 1))
_GAUSSIAN = float(np.sqrt(-2 * np.log(_VALUE_AT_MARGIN)))


def tolerance(
    x: Any,
    bounds: tuple[Any, Any] = (0.0, 0.0),
    margin: Any = 0.0,
    sigmoid: str = "gaussian",
    value_at_margin: float = _VALUE_AT_MARGIN,
) -> Any:
    """`metaworld.utils.reward_utils.tolerance`; what is not a double or has another sigmoid goes there."""
    lower, upper = bounds
    plain = (
        isinstance(x, float)
        and isinstance(margin, float)
        and isinstance(lower, float | int)
        and isinstance(upper, float | int)
        and value_at_margin == _VALUE_AT_MARGIN
        and (sigmoid == "long_tail" or sigmoid == "gaussian")
        and lower <= upper
        and margin >= 0
    )
    if not plain:
        return reward_utils.tolerance(x, bounds, margin, sigmoid, value_at_margin)
    if lower <= x <= upper:
        return 1.0
    if margin == 0:
        return 0.0
    distance = float(lower - x if x < lower else x - upper) / float(margin)
    if sigmoid == "long_tail":
        return 1 / ((distance * _LONG_TAIL) ** 2 + 1)
    # numpy's exp and the C library's differ in the last bit.
    return float(np.exp(-0.5 * (distance * _GAUSSIAN) ** 2))


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """`numpy.linalg.norm`; what is not the Euclidean norm of a vector of doubles, or one double, goes there."""
    if axis is None and not keepdims and (ord is None or ord == 2):
        if isinstance(x, np.ndarray) and x.ndim == 1 and x.dtype == np.float64:
            return np.float64(math.sqrt(x.dot(x)))
        if isinstance(x, float) and ord is None:
            return np.float64(math.sqrt(x * x))
    return np.linalg.norm(x, ord, axis, keepdims)


@final
class Rotation:
    """As much of `scipy.spatial.transform.Rotation` as metaworld needs."""

    def __init__(self, quaternion: np.ndarray) -> None:
        self._quaternion = quaternion

    @classmethod
    def from_matrix(cls, matrix: np.ndarray) -> Self:
        """A rotation matrix, `[3, 3]`."""
        return cls(np.array(quaternion(matrix.ravel().tolist())))

    def as_quat(self) -> np.ndarray:
        """The unit quaternion, `[x, y, z, w]`."""
        return self._quaternion
