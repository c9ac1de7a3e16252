"""How well the tasks go in one number a kind: success of those that tell of it, returns of the others."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import numpy as np

from mtrl.agents.reference_returns import normalized, reference
from mtrl.envs import TaskInfo
from mtrl.runs.events import ScoreMeans

KINDS: tuple[Literal["success_mean", "return_mean", "normalized_return_mean"], ...] = (
    "success_mean",
    "return_mean",
    "normalized_return_mean",
)


def score_means(
    infos: Sequence[TaskInfo], success: Sequence[float | None], returns: Sequence[float | None]
) -> ScoreMeans:
    """Means over the tasks for which they are known; None where none is yet.

    Tasks without success are averaged between their references if all have these, else as they are.

    Args:
        infos: of the tasks.
        success: of each; of no meaning where a task tells of none.
        returns: of each, undiscounted.
    """
    means: ScoreMeans = {}
    if any(info.has_success for info in infos):
        means["success_mean"] = _mean(s for info, s in zip(infos, success, strict=True) if info.has_success)
    others = {info.name: r for info, r in zip(infos, returns, strict=True) if not info.has_success}
    if others and all(map(reference, others)):
        means["normalized_return_mean"] = _mean(normalized_returns(others).values())
    elif others:
        means["return_mean"] = _mean(others.values())
    return means


def mean_of_replicas(means: Sequence[ScoreMeans]) -> ScoreMeans:
    """The mean over runs of the same tasks; what is not known of one is left out."""
    found: ScoreMeans = {}
    for kind in KINDS:
        if kind in means[0]:
            found[kind] = _mean(own[kind] for own in means)
    return found


def normalized_returns(returns: Mapping[str, float | None]) -> dict[str, float | None]:
    """The tasks' returns between their references, by name; None where the return is not known."""
    return {
        task: None if value is None else normalized(task, value) for task, value in returns.items() if reference(task)
    }


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
