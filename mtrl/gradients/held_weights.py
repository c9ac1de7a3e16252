"""Weights that are reused between two solves: `update_every` of `backward`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mtrl.aggregation import Method


def held_weights(method: nn.Module, index: Sequence[int], every: int, like: Tensor) -> Tensor | None:
    """The weights of some tasks, `[len(index)]`; None if the method is to be asked.

    Args:
        method: that holds them, in the order of its state.
        index: of the tasks.
        every: calls that they may serve.
        like: gives dtype and device.
    """
    if not isinstance(method, Method) or method.held_weights is None or method.held_for is None:
        return None
    if int(method.held_for) >= every or max(index) >= len(method.held_weights):
        return None
    weights = method.held_weights[list(index)]
    return weights.to(like) if bool(weights.isfinite().all()) else None


def hold(method: Method, weights: Tensor | None, index: Sequence[int], total: int) -> None:
    """Keep weights for the next calls, on the host; or, for None, count one more call for those that are kept.

    Weights that are not finite are not kept.

    Args:
        method: holds them.
        weights: `[len(index)]`.
        index: of the tasks in the method's state.
        total: number of tasks in the state; the others have no weight then.
    """
    if weights is None:
        assert method.held_for is not None
        method.held_for.add_(1)
        return
    kept = torch.full((total,), torch.nan, dtype=weights.dtype)
    kept[list(index)] = weights.cpu()
    if bool(weights.isfinite().all()):
        method.held_weights, method.held_for = kept, torch.tensor(1)
