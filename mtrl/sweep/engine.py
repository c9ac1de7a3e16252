"""What carries trials out: a small interface for the driver, and what passes between it and a worker."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from mtrl.sweep.trials import Trial


class How(Enum):
    """How an attempt at a trial ended."""

    FINISHED = "finished"
    INTERRUPTED = "interrupted"
    """It was asked to stop, and wrote a checkpoint."""
    FAILED = "failed"
    """For a reason of its own: it would fail again."""
    DIED = "died"
    """Its process was killed, its memory did not suffice, or its machine is lost: it can go on elsewhere."""
    BUSY = "busy"
    """Another process trains in its folder."""
    HALTED = "halted"
    """For a reason that the next trial would meet, too: the disk is full, the machine does not see the folder."""


class Ended(NamedTuple):
    """The end of an attempt."""

    how: How
    line: str = ""
    """Why, in one line."""
    trace: str = ""
    """Of a defect of ours, or of an environment that raised."""


@dataclass(frozen=True)
class Order:
    """What a worker is sent."""

    trial: Trial
    keep: Literal["all", "policy"]
    cpus: int
    root: Path
    """The folder of the sweep."""
    mark: str
    """Stands in its file `driver`: who reads another or none is on a machine that does not see this folder."""
    ranks: int = 1
    """Processes that train the trial together; they share the cores."""


Work = Callable[[Order], Ended]
"""Carries out a trial in this process; a function of a module, found by its name in other processes."""


class Engine(Protocol):
    """Runs orders in processes."""

    def describe(self) -> str:
        """Where, and how many at once, in a few words."""

    def room(self) -> int:
        """How many more orders can be taken now."""

    def submit(self, order: Order) -> None:
        """Takes an order."""

    def wait(self, timeout_s: float) -> list[tuple[Order, Ended]]:
        """What has ended meanwhile; returns with the first of it, or when the time is over."""

    def stop(self) -> None:
        """Asks what runs to write checkpoints and end, and drops what has not begun; `wait` tells of all of it."""

    def close(self) -> None:
        """Ends every process at once."""
