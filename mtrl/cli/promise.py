"""What a configuration promises of its time, and the one line that says when it will not be kept."""

import math

from mtrl.cli.screen import duration
from mtrl.runs.events import Event, Progress

_TIMES = 3.0
_MEASURED_S = 60.0  # of updates: before, the time left is too rough to complain about


class Promise:
    """Watches whether a run keeps to the `expected_minutes` of its configuration.

    Args:
        minutes: for one seed; None for no promise.
        steps: of the run.
    """

    def __init__(self, minutes: float | None, steps: int) -> None:
        self._minutes, self._steps, self._is_told = minutes, steps, False

    def broken(self, event: Event, num_seeds: int) -> str | None:
        """The line, once, where seeds side by side will take more than three times what they may."""
        if not self._minutes or self._is_told or event["kind"] != "progress":
            return None
        if event.get("learned_s", 0) < _MEASURED_S:
            return None
        promised = 60 * self._minutes * num_seeds
        left_s = event["left_s"]
        if left_s is None or (total_s := event["wall_s"] + left_s) <= _TIMES * promised:
            return None
        self._is_told = True
        advice = self._advice(event, left_s, promised)
        return (
            f"all {self._steps:,} steps will take {duration(total_s)} here, where the configuration expects "
            f"{duration(promised)}: {advice}; or let it run: Ctrl-C and --resume lose nothing"
        )

    def _advice(self, event: Progress, left_s: float, promised: float) -> str:
        step = event["step"]
        fitting = step + (promised - event["wall_s"]) / left_s * (self._steps - step)
        if fitting <= step:
            return "fewer --steps or smaller networks take less"
        digits = 1 - int(math.log10(fitting))
        return f"--steps {int(round(fitting, digits))} would take about that"
