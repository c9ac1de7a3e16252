"""Samples that are read from files when they are first asked for, and kept in memory if all of them fit.

Axes: `B` batch.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from mtrl.supervised.benchmark import Batch

Arrays = tuple[NDArray[Any], ...]


class FileSplit:
    """A `Split` of samples in files.

    Args:
        read: gives the arrays of a sample by its number; they have the same shapes for all. Called from threads.
        count: number of samples.
        make: turns stacked arrays, `[B, ...]` each, into a batch, with augmentation if there is a generator.
        cache_gib: most memory for keeping the arrays; samples of larger splits are read again every time.
    """

    def __init__(
        self,
        read: Callable[[int], Arrays],
        count: int,
        make: Callable[[Sequence[Tensor], Generator | None], Batch],
        cache_gib: float,
    ) -> None:
        self._read, self._count, self._make = read, count, make
        self._limit = cache_gib * 2**30
        self._kept: Arrays = ()
        self._known = np.zeros(count, bool)

    def __len__(self) -> int:
        return self._count

    def batch(self, indices: Tensor, generator: Generator | None) -> Batch:
        """See `Split`."""
        wanted = indices.numpy()
        if not self._kept:
            first = self._read(int(wanted[0]))
            if self._count * sum(array.nbytes for array in first) > self._limit:
                return self._batch(_stacked(self._all(wanted)), generator)
            # Pages of memory are taken when they are first written, so this costs nothing yet.
            self._kept = tuple(np.empty((self._count, *array.shape), array.dtype) for array in first)
        missing = np.unique(wanted[~self._known[wanted]])
        for index, arrays in zip(missing, self._all(missing), strict=True):
            for kept, array in zip(self._kept, arrays, strict=True):
                kept[index] = array
        self._known[missing] = True
        return self._batch(tuple(kept[wanted] for kept in self._kept), generator)

    def _all(self, indices: NDArray[np.int64]) -> list[Arrays]:
        workers = min(len(indices), torch.get_num_threads())
        if workers <= 1:
            return [self._read(int(index)) for index in indices]
        with ThreadPoolExecutor(workers) as pool:  # decoding releases the interpreter
            return list(pool.map(self._read, indices.tolist()))

    def _batch(self, arrays: Arrays, generator: Generator | None) -> Batch:
        return self._make([torch.from_numpy(array) for array in arrays], generator)


def _stacked(samples: list[Arrays]) -> Arrays:
    return tuple(np.stack(arrays) for arrays in zip(*samples, strict=True))
