"""A random order of the tasks for each task, from a counter: the same on every device, and resumable."""

import torch
from torch import Tensor

MASK = 0xFFFFFFFF


def random_orders(seed: Tensor, step: Tensor, T: int) -> Tensor:
    """One uniformly random order of the tasks for each task.

    Integer arithmetic alone: the result is a function of `(seed, step, T)`, whatever the device, compiled or
    not.

    Args:
        seed: int64, scalar.
        step: int64, scalar; each value gives fresh orders.
        T: number of tasks.

    Returns:
        int64, `[T, T]`; each row is a permutation.
    """
    cell = torch.arange(T * T, device=seed.device).view(T, T)
    state = _mix(_mix(_mix(seed & MASK) ^ ((seed >> 32) & MASK)) ^ (step & MASK))
    keys = _mix(_mix(state ^ _mix(cell + 1)) + (step >> 32))
    # The cell's own number in the low bits makes keys distinct, so that no sort has a tie to break.
    return (keys * (T * T) + cell).argsort(-1)


def _mix(x: Tensor) -> Tensor:
    """A 32-bit integer hash (T. Mueller's multiply-xorshift) in int64, of which no product overflows."""
    for _ in range(3):
        x = (((x >> 16) ^ x) * 0x45D9F3B) & MASK
    return (x >> 16) ^ x
