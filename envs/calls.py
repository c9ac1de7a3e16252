"""What a call may be: which one comes next, with what actions, with what state. Alike for every backend."""

from collections.abc import Mapping, Sequence, Set
from enum import Enum

import numpy as np

from mtrl.envs.options import Options


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


def check_state(state: Mapping[str, np.ndarray], entries: Set[str], options: Options) -> None:
    """Checks that a state is of an environment that was made with these options.

    Raises:
        ValueError: it has other entries, or was saved by a differently made one.
    """
    if set(state) != entries:
        raise ValueError(f"state must have the entries {sorted(entries)}, got {sorted(state)}")
    if int(state["make"]) != int(options.fingerprint()):
        raise ValueError("state was saved by another make(): all options but num_workers must be the same")
