"""Random numbers from a counter: a function of `(key, step, cell)`, the same on every device, and resumable.

Integer arithmetic alone makes the bits, compiled or not, so the state of a stream is its key and its step.
"""

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtrl.aggregation.solvers.solver_op import LIBRARY

MASK = 0xFFFFFFFF


def checked_seed(method: str, seed: int) -> int:
    """The seed, if it is one; of any integer type, such as numpy's.

    Raises:
        ValueError: it is negative or has more than 63 bits.
    """
    if not 0 <= seed < 2**63:
        raise ValueError(f"{method} needs 0 <= seed < 2^63, got seed={seed}")
    return operator.index(seed)


def random_key(seed: int) -> Tensor:
    """The key of the stream that a seed starts: int64, scalar."""
    seed = operator.index(seed)
    return _mix(_mix(torch.tensor(seed & MASK) + 1) ^ (seed >> 32 & MASK))


def random_keys(seeds: Sequence[int]) -> Tensor:
    """The keys of the streams of some seeds, one after the other: int64, `[S]`."""
    return torch.stack([random_key(seed) for seed in seeds])


def random_bits(key: Tensor, step: Tensor, num: int) -> Tensor:
    """Uniform integers in `[0, 2^32)`.

    An operator of torch, `mtrl::random_bits`: a compiler would put the whole chain of integer operations into every
    kernel that reads its result.

    Args:
        key: int64, scalar, from `random_key`, or several, `[...]`.
        step: int64, scalar; each value gives fresh numbers.
        num: how many of each key.

    Returns:
        int64, `[..., num]`.
    """
    return torch.ops.mtrl.random_bits(key, step, num)


def _on_device(key: Tensor, step: Tensor, num: int) -> Tensor:
    return _bits(key, step, torch.arange(num, device=key.device))


def _on_host(key: Tensor, step: Tensor, num: int) -> Tensor:
    return torch.from_numpy(_bits(key.numpy(), step.numpy(), np.arange(num)))  # a third of torch's overhead


def _bits(key: Any, step: Any, cell: Any) -> Any:
    stream = _mix(key ^ _mix(step & MASK))[..., None]
    return _mix((stream + cell * 0x9E3779B1) & MASK)


LIBRARY.define("random_bits(Tensor key, Tensor step, SymInt num) -> Tensor")
LIBRARY.impl("random_bits", _on_host, "CPU")
LIBRARY.impl("random_bits", _on_device, "CUDA")
torch.library.register_fake("mtrl::random_bits", lambda key, step, num: key.new_empty(*key.shape, num), lib=LIBRARY)


def random_uniform(key: Tensor, step: Tensor, num: int) -> Tensor:
    """Uniform numbers strictly between 0 and 1, float64, `[..., num]`; arguments of `random_bits`."""
    return (random_bits(key, step, num).double() + 0.5) / 2**32


def random_normal(key: Tensor, step: Tensor, num: int) -> Tensor:
    """Standard normal numbers (Box and Muller 1958), float64, `[..., num]`; arguments of `random_bits`."""
    radius, angle = random_uniform(key, step, 2 * num).chunk(2, -1)
    return (-2 * radius.log()).sqrt() * (2 * torch.pi * angle).cos()


def random_orders(key: Tensor, step: Tensor, T: int) -> Tensor:
    """One uniformly random order of the tasks for each task.

    Args:
        key: int64, scalar, from `random_key`, or several, `[...]`.
        step: int64, scalar; each value gives fresh orders.
        T: number of tasks.

    Returns:
        int64, `[..., T, T]`; each row is a permutation.
    """
    cell = torch.arange(T * T, device=key.device)
    # The cell's own number in the low digits makes the sort keys distinct: no tie to break.
    return (random_bits(key, step, T * T) * (T * T) + cell).unflatten(-1, (T, T)).argsort(-1)


def _mix(x: Any) -> Any:
    """A 32-bit integer hash (T. Mueller's multiply-xorshift) held in int64, where no product overflows."""
    for _ in range(2):
        x = (((x >> 16) ^ x) * 0x45D9F3B) & MASK
    return (x >> 16) ^ x
