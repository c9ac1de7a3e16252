"""What a call may be: which one comes next, and with what actions. Alike for every backend."""

from collections.abc import Sequence
from enum import Enum

import numpy as np


class Phase(Enum):
    """Where a vector environment stands; the value says what a call that does not fit here is missing."""

    NEW = "before reset(): call reset() first"
    READY = "without send(): call send() first"
    STEPPING = "while a step is under way: call recv() first"
    CLOSED = "after close(): make a new environment"

    def require(self, call: str, *allowed: "Phase") -> None:
        """Raise RuntimeError naming `call` and the remedy unless the phase is one of those `allowed`."""
        if self not in allowed:
            raise RuntimeError(f"{call} {self.value}")


def checked_actions(actions: np.ndarray, tasks: Sequence[str], num_envs_per_task: int, action_size: int) -> np.ndarray:
    """`actions` as finite float32, `[T, E, A]`.

    Raises:
        ValueError: another shape; NaN or infinity, with the task's name.
    """
    array = np.asarray(actions, dtype=np.float32)
    shape = (len(tasks), num_envs_per_task, action_size)
    if array.shape != shape:
        raise ValueError(f"actions must have the shape [tasks, environments, action] = {shape}, got {array.shape}")
    finite = np.isfinite(array)
    if not finite.all():
        task, environment, number = np.argwhere(~finite)[0]
        value = array[task, environment, number]
        raise ValueError(f"actions must be finite, got {value} for {tasks[task]} (environment {environment})")
    return array
