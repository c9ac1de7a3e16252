"""The small numerics of metaworld's rewards and observations, cheap for one number or one matrix.

Every function equals the one that it stands for bit for bit: the same operations on the same doubles, without
the handling of arrays around them (a `tolerance` takes 0.5 us instead of 12, a quaternion 1.5 instead of 50).
"""

import math
from collections.abc import Sequence
from typing import Any, Self, final

import numpy as np
from metaworld.utils import reward_utils

_NUMBER = (float, int)
_SIGMOIDS = ("long_tail", "gaussian")
_DOUBLE = np.dtype(np.float64)
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
        and isinstance(lower, _NUMBER)
        and isinstance(upper, _NUMBER)
        and value_at_margin == _VALUE_AT_MARGIN
        and sigmoid in _SIGMOIDS
    )
    if not plain:
        return reward_utils.tolerance(x, bounds, margin, sigmoid, value_at_margin)
    x, lower, upper, margin = float(x), float(lower), float(upper), float(margin)  # numpy's doubles are slower
    if not (lower <= upper and margin >= 0):
        return reward_utils.tolerance(x, bounds, margin, sigmoid, value_at_margin)
    if lower <= x <= upper:
        return 1.0
    if margin == 0:
        return 0.0
    distance = (lower - x if x < lower else x - upper) / margin
    if sigmoid == "long_tail":
        return 1 / ((distance * _LONG_TAIL) ** 2 + 1)
    # numpy's exp and the C library's differ in the last bit.
    return float(np.exp(-0.5 * (distance * _GAUSSIAN) ** 2))


def norm(x: Any, *how: Any, **named: Any) -> Any:
    """`numpy.linalg.norm`; what is not the Euclidean norm of a vector of doubles, or one double, goes there."""
    if not how and not named:
        if type(x) is np.ndarray and x.dtype is _DOUBLE and x.ndim == 1:
            return np.float64(math.sqrt(x.dot(x)))
        if isinstance(x, float):
            return np.float64(math.sqrt(x * x))
    return np.linalg.norm(x, *how, **named)


def hstack(parts: Any) -> Any:
    """`numpy.hstack`; what is not made of doubles goes there."""
    if all(type(part) is np.float64 for part in parts):
        return np.array(parts)
    return np.hstack(parts)


def quaternion(matrix: Sequence[float]) -> tuple[float, float, float, float]:
    """The quaternion (x, y, z, w) of a rotation matrix, row by row in 9 floats.

    Bit for bit what `scipy.spatial.transform.Rotation.from_matrix(...).as_quat()` gives (Markley 2008, "Unit
    quaternion from rotation matrix"), at a hundredth of its time for one matrix. Scipy also makes sure that
    the matrix is a rotation; MuJoCo's are.
    """
    xx, xy, xz, yx, yy, yz, zx, zy, zz = matrix
    trace = xx + yy + zz
    largest = max(xx, yy, zz, trace)
    if xx == largest:
        x, y, z, w = 1 - trace + 2 * xx, yx + xy, zx + xz, zy - yz
    elif yy == largest:
        x, y, z, w = xy + yx, 1 - trace + 2 * yy, zy + yz, xz - zx
    elif zz == largest:
        x, y, z, w = xz + zx, yz + zy, 1 - trace + 2 * zz, yx - xy
    else:
        x, y, z, w = zy - yz, xz - zx, yx - xy, 1 + trace
    norm = math.sqrt(x * x + y * y + z * z + w * w)  # not ** 0.5, which differs in the last bit
    return x / norm, y / norm, z / norm, w / norm


@final
class Rotation:
    """A rotation with as much of `scipy.spatial.transform.Rotation` as metaworld needs."""

    def __init__(self, quaternion: np.ndarray) -> None:
        self._quaternion = quaternion

    @classmethod
    def from_matrix(cls, matrix: np.ndarray) -> Self:
        """A rotation matrix, `[3, 3]`."""
        return cls(np.array(quaternion(matrix.ravel().tolist())))

    def as_quat(self) -> np.ndarray:
        """The unit quaternion, `[x, y, z, w]`."""
        return self._quaternion
