"""How well the tasks go in one number a kind: success of those that tell of it, returns of the others.

Tasks share a scale of returns where those of random actions and of a good agent are known: `reference_returns.csv` has
a line a task, with its sources. They are returns of whole episodes: shorter ones are on no scale.
"""

import csv
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files

import numpy as np

from mtrl.envs import TaskInfo
from mtrl.runs.events import SCORES, ScoreMeans

_SUITE = ("dm_control/", 0.0, 1000.0)  # rewards in [0, 1], 1,000 steps (Tassa et al. 2018, section 2)


def score_means(
    infos: Sequence[TaskInfo], horizon: int, success: Sequence[float | None], returns: Sequence[float | None]
) -> ScoreMeans:
    """Means over the tasks for which they are known; None where none is yet.

    Tasks without success are averaged between their references if all have these, else as they are.

    Args:
        infos: of the tasks.
        horizon: steps of the longest episode; all are cut there.
        success: of each; of no meaning where a task tells of none.
        returns: of each, undiscounted.
    """
    means: ScoreMeans = {}
    if any(info.has_success for info in infos):
        means["success_mean"] = _mean(s for info, s in zip(infos, success, strict=True) if info.has_success)
    others = [(info, value) for info, value in zip(infos, returns, strict=True) if not info.has_success]
    if others and all(reference(info, horizon) for info, _ in others):
        means["normalized_return_mean"] = _mean(normalized(info, horizon, value) for info, value in others)
    elif others:
        means["return_mean"] = _mean(value for _, value in others)
    return means


def mean_of_replicas(means: Sequence[ScoreMeans]) -> ScoreMeans:
    """The mean over runs of the same tasks; what is not known of one is left out."""
    found: ScoreMeans = {}
    for name in SCORES:
        if name in means[0]:
            found[name] = _mean(own[name] for own in means)
    return found


def reference(info: TaskInfo, horizon: int) -> tuple[float, float] | None:
    """Undiscounted returns of random actions and of a good agent; None where none are known, or of longer episodes."""
    if info.limit is None or horizon < info.limit or "(" in info.name:  # with arguments it is another task
        return None
    prefix, *bounds = _SUITE
    if info.name.startswith(prefix):
        return (bounds[0], bounds[1]) if info.limit == bounds[1] else None
    return _references().get(info.name)


def normalized(info: TaskInfo, horizon: int, mean_return: float | None) -> float | None:
    """A return's place: 0 for that of random actions, 1 for that of a good agent; None where one is not known."""
    known = reference(info, horizon)
    if known is None or mean_return is None:
        return None
    low, high = known
    return (mean_return - low) / (high - low)


@cache
def _references() -> dict[str, tuple[float, float]]:
    lines = files("mtrl.agents").joinpath("reference_returns.csv").read_text().splitlines()
    return {row["task"]: (float(row["random"]), float(row["expert"])) for row in csv.DictReader(lines)}


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
