"""The probability simplex: the nearest point of it, and a part of it."""

import torch
from torch import Tensor


def project_on_simplex(point: Tensor) -> Tensor:
    """Minimise `|w - v|` over `w >= 0`, `sum_i w_i = 1` (Duchi et al. 2008, figure 1).

    `w = (v - t)_+`: with the `k` largest entries positive `t` is their sum less one, over `k`, and the right
    `k` is the one with the largest `t`. Exact by one sort.

    Args:
        point: `v`, `[..., T]`.

    Returns:
        `w`, `[..., T]`.
    """
    # The largest entry taken off first: sums of entries far from zero would lose the digits of the simplex.
    point = point - point.amax(-1, keepdim=True)
    sums = point.sort(-1, descending=True).values.cumsum(-1)
    counts = torch.arange(1, point.shape[-1] + 1, dtype=point.dtype, device=point.device)
    threshold = ((sums - 1) / counts).amax(-1, keepdim=True)
    weights = (point - threshold).clamp(min=0)
    return weights / weights.sum(-1, keepdim=True)


def of_sum_one(weights: Tensor) -> tuple[Tensor, Tensor]:
    """Part of the weights on a simplex, `[..., T]`: brought to sum 1, equal if all are 0; and their sum, `[..., 1]`."""
    total = whole_or(weights.sum(-1, keepdim=True), 1.0)
    return torch.where(total > 0, weights / torch.where(total > 0, total, 1.0), 1 / weights.shape[-1]), total


def whole_or(total: Tensor, whole: float) -> Tensor:
    """A sum of weights, without its rounding where it is that of all tasks'."""
    return torch.where((total - whole).abs() < 1e-9, whole, total)
