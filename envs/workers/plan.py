"""What a backend tells the vector environment over workers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mtrl.envs.interface import SimulatorInfo, VectorEnv
from mtrl.envs.options import Options


@dataclass(frozen=True)
class Share:
    """What one worker process is told."""

    names: str
    """Its tasks, for messages."""
    specification: dict[str, Any]
    """Plain JSON values, read by the worker's `main`, its `rows` among them; the channel and the memory are added."""


@dataclass(frozen=True)
class Plan:
    """What a backend simulates, where, and what an episode begins with."""

    simulator: SimulatorInfo
    worker: str
    """Module whose `main` runs in each process."""
    shares: Sequence[Share]
    """What each worker is told, in the order of the workers."""
    observation_size: int
    """Numbers that the simulator observes, before `Observations` adds or hides some."""
    action_size: int
    start: Callable[[Options, int, int, int], int]
    """What episode n of an environment begins with (a goal's number, a seed), for task, environment and n."""
    make: Callable[[Options], VectorEnv]
    """Makes another one, before its reset: what a copy is, and what a pickle holds."""
    stays: bool = False
    """Whether some environments can stay where they are while others step."""
