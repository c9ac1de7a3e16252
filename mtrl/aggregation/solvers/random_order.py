"""A random order of the tasks for each task."""

import torch
from torch import Tensor

from mtrl.aggregation.solvers.random_stream import random_bits


def random_orders(key: Tensor, step: Tensor, T: int) -> Tensor:
    """One uniformly random order of the tasks for each task.

    Args:
        key: int64, scalar, from `random_key`.
        step: int64, scalar; each value gives fresh orders.
        T: number of tasks.

    Returns:
        int64, `[T, T]`; each row is a permutation.
    """
    cell = torch.arange(T * T, device=key.device)
    # The cell's own number in the low digits makes the sort keys distinct: no tie to break.
    return (random_bits(key, step, T * T) * (T * T) + cell).view(T, T).argsort(-1)
