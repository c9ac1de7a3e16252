"""The memory that a vector environment shares with its workers: one row per environment."""

import mmap
import os
import sys
import tempfile

import numpy as np

from envs.interface import ACTION_SIZE, OBSERVATION_SIZE

ROW = np.dtype(
    [
        ("goal", np.int64),  # written by the parent: the goal of the next reset
        ("action", np.float32, ACTION_SIZE),  # written by the parent
        ("obs", np.float64, OBSERVATION_SIZE),  # the reset observation
        ("next_obs", np.float64, OBSERVATION_SIZE),  # the successor of the last step
        ("reward", np.float64),
        ("success", np.bool_),
    ],
    align=True,
)


def create(count: int) -> int:
    """A descriptor of anonymous memory for `count` rows; it goes when the last user of it goes."""
    if sys.platform == "linux":
        descriptor = os.memfd_create("envs")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.truncate(descriptor, count * ROW.itemsize)
    return descriptor


def attach(descriptor: int, count: int) -> np.ndarray:
    """The rows behind a descriptor, `[count]` of ROW; the descriptor may be closed afterwards."""
    return np.frombuffer(mmap.mmap(descriptor, count * ROW.itemsize), dtype=ROW)
