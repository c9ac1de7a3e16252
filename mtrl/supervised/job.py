"""What the run loop drives, epoch by epoch."""

from collections.abc import Mapping
from typing import Any, Protocol

from mtrl.runs.events import Logged, Subject


class Job(Protocol):
    """Something that is trained. An epoch is counted from 1, a step within it from 0."""

    @property
    def steps_per_epoch(self) -> int:
        """Steps of an epoch."""

    @property
    def stopped(self) -> bool:
        """Whether training has ended before its epochs are over."""

    def description(self) -> Subject:
        """What is trained on what, for the first line of `metrics.jsonl`."""

    def step(self, epoch: int, index: int) -> None:
        """One step.

        Raises:
            UserError: it cannot be made; training stops.
        """

    def end_epoch(self, epoch: int) -> list[Logged]:
        """What the epoch's lines in `metrics.jsonl` say, `kind` included; step and time are added to them."""

    def result(self) -> dict[str, Any]:
        """What `evaluation.json` says of the finished job."""

    def state_dict(self) -> Mapping[str, Any]:
        """All that the next step depends on."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Inverse of `state_dict`."""
