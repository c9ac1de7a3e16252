"""What delta_m is taken against: one's own single-task runs, the papers' where they hold, or nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtrl.report.metric_runs import MetricGroup, metric_values, results
from mtrl.runs.reading import Warn


@dataclass(frozen=True)
class Baseline:
    """Single-task metrics, or why there are none."""

    values: NDArray[np.float64] | None
    """`[K]`."""
    title: str
    """Of its column."""
    note: str
    """Where it is from, or why there is none; a sentence."""


def find_baseline(groups: Sequence[MetricGroup], warn: Warn) -> Baseline:
    """The baseline of evaluated groups; one's own comes first.

    Args:
        groups: with an evaluation each.
        warn: is given a line if there are several.
    """
    own = [group for group in groups if group.is_single_task]
    for other in own[1:]:
        warn(f"{other.name} is a second single-task baseline: delta_m is against {own[0].name}")
    if own:
        seeds = len(results(own[0]))
        of = f"mean of {seeds} seed{'s' * (seeds > 1)}{_other_network(own[0], groups)}"
        note = f"delta_m is against the single-task models of {own[0].name} ({of})."
        return _usable(Baseline(metric_values(own[0]).mean(axis=0), own[0].name, note))
    first = results(groups[0])[0]
    make = "`--method.name single_task` trains single-task models of one's own, to be reported together with this run."
    if "is_full" not in first.data:
        return Baseline(None, "", "No delta_m: this problem has no single-task metrics.")
    if first.published is None:
        return Baseline(None, "", f"No delta_m: the papers' single-task metrics do not hold for this setting; {make}")
    if not first.data.get("is_full"):
        reason = f"the papers' single-task metrics hold for their full data alone, not for {first.data['source']}"
        return Baseline(None, "", f"No delta_m: {reason}; {make}")
    return _usable(Baseline(first.published, "published single task", "delta_m is against the papers' single task."))


def _other_network(own: MetricGroup, groups: Sequence[MetricGroup]) -> str:
    """What to add of the single-task models' network where others have another one."""
    name, *others = (group.runs[0].config["benchmark"].get("network") for group in (own, *groups))
    return f"; benchmark.network {name}" if any(other != name for other in others) else ""


def _usable(baseline: Baseline) -> Baseline:
    if baseline.values is not None and (baseline.values == 0).any():
        return Baseline(None, "", "No delta_m: a single-task metric is zero, and delta_m is relative to it.")
    return baseline
