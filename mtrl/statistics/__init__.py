"""Success over seeds and tasks, and how sure one may be of it; methods against single-task baselines and each other.

Scores are `[R, T]`: one run (seed) a row, one task a column. Statistics map `[..., R, T]` to `[...]`, so
that all bootstrap resamples are computed in one call. numpy alone: this is part of the core.
"""

from mtrl.statistics.aggregates import iqm, mean, median
from mtrl.statistics.bootstrap import (
    MIN_RUNS_FOR_INTERVAL,
    Band,
    Interval,
    bootstrap_band,
    bootstrap_interval,
    improvement_interval,
)
from mtrl.statistics.comparison import PairedComparison, compare_pairs, probability_of_improvement
from mtrl.statistics.curves import area_under_curve, performance_profile, steps_to_reach
from mtrl.statistics.relative import delta_m, delta_p, mean_rank
from mtrl.statistics.summary import Estimate, Summary, summarize

__all__ = [
    "MIN_RUNS_FOR_INTERVAL",
    "Band",
    "Estimate",
    "Interval",
    "PairedComparison",
    "Summary",
    "area_under_curve",
    "bootstrap_band",
    "bootstrap_interval",
    "compare_pairs",
    "delta_m",
    "delta_p",
    "improvement_interval",
    "iqm",
    "mean",
    "mean_rank",
    "median",
    "performance_profile",
    "probability_of_improvement",
    "steps_to_reach",
    "summarize",
]
