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
        self._fits: bool | None = None  # known once the first sample is
        self._kept: list[NDArray[Any]] = []
        self._known = np.zeros(count, bool)

    def __len__(self) -> int:
        return self._count

    def batch(self, indices: Tensor, generator: Generator | None) -> Batch:
        """See `Split`."""
        wanted = indices.numpy()
        if self._fits is None:
            self._make_room(self._read(int(wanted[0])))
        if not self._fits:
            samples = self._all(wanted)
            return self._batch([np.stack(arrays) for arrays in zip(*samples, strict=True)], generator)
        missing = np.unique(wanted[~self._known[wanted]])
        for index, arrays in zip(missing, self._all(missing), strict=True):
            for kept, array in zip(self._kept, arrays, strict=True):
                kept[index] = array
        self._known[missing] = True
        return self._batch([kept[wanted] for kept in self._kept], generator)

    def _make_room(self, sample: Arrays) -> None:
        self._fits = self._count * sum(array.nbytes for array in sample) <= self._limit
        if self._fits:  # pages of memory are taken when they are first written, so this costs nothing yet
            self._kept = [np.empty((self._count, *array.shape), array.dtype) for array in sample]

    def _all(self, indices: NDArray[np.int64]) -> list[Arrays]:
        workers = min(len(indices), torch.get_num_threads())
        if workers <= 1:
            return [self._read(int(index)) for index in indices]
        with ThreadPoolExecutor(workers) as pool:  # decoding releases the interpreter
            return list(pool.map(self._read, indices.tolist()))

    def _batch(self, arrays: Sequence[NDArray[Any]], generator: Generator | None) -> Batch:
        return self._make([torch.from_numpy(array) for array in arrays], generator)
