"""What a tracker is to us."""

from collections.abc import Mapping
from typing import Protocol

from mtrl.runs.events import Start


class Destination(Protocol):
    """Where the numbers of one seed of a run go.

    Made from the configuration, the seed and the run's folder, which is the time to say what is missing. A step is
    what the run counts: environment transitions summed over tasks, or the batches of a supervised run.
    """

    def begin(self, start: Start) -> None:
        """The run begins, or goes on: what was tracked after the step that it resumed at comes again."""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Values by name, of one step."""

    def summarize(self, step: int, values: Mapping[str, float]) -> None:
        """Values of the whole run, that ended at this step."""

    def end(self, failed: bool) -> None:
        """The last call, once it has begun."""
