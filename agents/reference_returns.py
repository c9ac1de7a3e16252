"""Returns of random actions and of a good agent, between which a task's return becomes a number that tasks share.

`reference_returns.csv` has a line a task, with its sources.
"""

import csv
from functools import cache
from importlib.resources import files

_SUITE = ("dm_control/", 0.0, 1000.0)  # rewards in [0, 1], 1,000 steps (Tassa et al. 2018, section 2)


@cache
def _references() -> dict[str, tuple[float, float]]:
    lines = files("mtrl.agents").joinpath("reference_returns.csv").read_text().splitlines()
    return {row["task"]: (float(row["random"]), float(row["expert"])) for row in csv.DictReader(lines)}


def reference(task: str) -> tuple[float, float] | None:
    """Undiscounted returns of random actions and of a good agent; None where none are known."""
    prefix, *bounds = _SUITE
    if task.startswith(prefix):
        return bounds[0], bounds[1]
    return _references().get(task)


def normalized(task: str, mean_return: float) -> float | None:
    """A return's place: 0 for that of random actions, 1 for that of a good agent; None where these are not known."""
    known = reference(task)
    if known is None:
        return None
    low, high = known
    return (mean_return - low) / (high - low)
