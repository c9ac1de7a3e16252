"""What a vector environment and its workers share: memory, a row per environment, and what they say, byte by byte."""

import mmap
import os
import sys
import tempfile

import numpy as np

STEP = b"s"
"""Step every active environment; one that ends by itself begins its next episode at once."""
RESET = b"r"
"""Begin an episode in every environment, with the start in its row."""
STEP_AND_RESET = b"t"
"""A step with which some environments, those marked `last`, reach the horizon and begin their next episodes."""
DONE = b"d"
"""Answer: ready for the next command."""
FAILED = b"f"
"""Answer: a traceback follows, then the end."""
RAISED = b"e"
"""Answer: an environment raised; JSON of the line that says so and the traceback follows, then the end."""


def row(observation_size: int, action_size: int) -> np.dtype:
    """The fields of a row."""
    return np.dtype(
        [
            # Written by the parent.
            ("start", np.int64),  # what the next reset begins with: a goal's number, or a seed
            ("action", np.float32, (action_size,)),
            ("active", np.bool_),  # takes part in the next step: all do, but for a replay
            ("last", np.bool_),  # the next step reaches the horizon
            # Written by the worker.
            ("obs", np.float64, (observation_size,)),  # the reset observation
            ("next_obs", np.float64, (observation_size,)),  # the successor of the last step
            ("reward", np.float64),
            ("success", np.bool_),
            ("terminated", np.bool_),
            ("truncated", np.bool_),  # by the environment itself, before the horizon
            ("finished", np.float64),  # when the worker last answered, in its first row: s of time.monotonic
        ],
        align=True,
    )


def create(count: int, of: np.dtype) -> int:
    """A descriptor of anonymous memory for `count` rows, zeros; it goes when the last user of it goes."""
    if sys.platform == "linux":
        descriptor = os.memfd_create("envs")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.truncate(descriptor, count * of.itemsize)
    return descriptor


def attach(descriptor: int, count: int, of: np.dtype) -> np.ndarray:
    """The rows behind a descriptor, `[count]` of that type; the descriptor may be closed afterwards."""
    return np.frombuffer(mmap.mmap(descriptor, count * of.itemsize), dtype=of)
