"""Whether the weights of a bargain are rightly zero."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtrl.aggregation.solvers.linear_algebra import bilinear, definite, identity
from mtrl.aggregation.solvers.nonnegative_qp import nonnegative_qp


def certified(residual: Any, solvable: Any, cosines: Any, live: Any, eps: float) -> Any:
    """The residual; where nothing was found, 0 if some convex combination of the unit gradients vanishes, else 1.

    On a device whatever was not solved counts as stationary: to find out takes longer than the solver.

    Args:
        residual: `[..., 1]`.
        solvable: `[..., 1]`, bool.
        cosines: `[..., T, T]`.
        live: `[..., T]`, which gradients are not zero.
        eps: relative rounding of the cosines.
    """
    if isinstance(residual, Tensor):
        return torch.where(solvable, residual, 0.0)
    left = ~solvable[..., 0]
    if not left.any():
        return residual
    result = np.where(solvable, residual, 0.0)
    result[left, 0] = _shortest(cosines[left], live[left], eps) > 64 * cosines.shape[-1] * eps
    return result


def _shortest(cosines: Any, live: Any, eps: float) -> Any:
    """Square of the shortest convex combination of unit gradients, `[N]`; NaN for what is not finite."""
    one = live * 1.0
    C = definite(cosines, eps) + (1 - one)[..., None] * identity(one)
    y = nonnegative_qp(C + one[..., None] * one[..., None, :], one[..., None, :])[..., 0, :]
    return (bilinear(y, C, y) / (one * y).sum(-1)[..., None] ** 2)[..., 0]
