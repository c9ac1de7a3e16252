"""A random order of the tasks for each task, from a counter: the same on every device, and resumable."""

import torch
from torch import Tensor

MASK = 0xFFFFFFFF


def random_key(seed: int) -> Tensor:
    """Starts a stream of orders: int64, scalar."""
    return _mix(_mix(torch.tensor(seed & MASK) + 1) ^ (seed >> 32 & MASK))


def random_orders(key: Tensor, step: Tensor, T: int) -> Tensor:
    """One uniformly random order of the tasks for each task.

    Integer arithmetic alone: the result is a function of `(key, step, T)`, whatever the device, compiled or
    not.

    Args:
        key: int64, scalar, from `random_key`.
        step: int64, scalar; each value gives fresh orders.
        T: number of tasks.

    Returns:
        int64, `[T, T]`; each row is a permutation.
    """
    cell = torch.arange(T * T, device=key.device).view(T, T)
    stream = _mix(key ^ _mix(step & MASK))
    hashed = _mix((stream + cell * 0x9E3779B1) & MASK)
    # The cell's own number in the low digits makes the sort keys distinct: no tie to break.
    return (hashed * (T * T) + cell).argsort(-1)


def _mix(x: Tensor) -> Tensor:
    """A 32-bit integer hash (T. Mueller's multiply-xorshift) held in int64, where no product overflows."""
    for _ in range(2):
        x = (((x >> 16) ^ x) * 0x45D9F3B) & MASK
    return (x >> 16) ^ x
