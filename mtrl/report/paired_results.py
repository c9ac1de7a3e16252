"""The evaluations of two runs side by side, paired over their seeds.

Axes: `R` seeds, `T` tasks (or metrics).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtrl.protocols import BIAS, EVALUATION_FILES, LEGACY
from mtrl.report.metric_runs import read_metric_run
from mtrl.report.runs import differences
from mtrl.report.success_runs import read_evaluation
from mtrl.report.table import NOTHING
from mtrl.runs.reading import Warn
from mtrl.statistics import MIN_RUNS_FOR_INTERVAL, bootstrap_interval, compare_pairs

_RESAMPLING_SEED = 0  # the same runs give the same interval, always


@dataclass(frozen=True)
class Result:
    """The result of one seed's evaluation."""

    made: Mapping[str, Mapping[str, Any]]
    """How: two results can be compared if this is equal."""
    scores: dict[str, float]
    """By task, or by metric."""


@dataclass(frozen=True)
class Comparison:
    """The comparison of two runs as a table of text cells, and a note on it."""

    header: list[str]
    rows: list[list[str]]
    note: str


Results = Mapping[int, Result]
"""By seed."""


def success_by_seed(folders: Mapping[int, Path], protocol: str) -> dict[int, Result]:
    """Any-step success under one protocol, of the seeds that have it; of tasks without it the return."""
    found = {}
    for seed, folder in folders.items():
        if (path := folder / EVALUATION_FILES[protocol]).exists():
            evaluation = read_evaluation(path)
            made = {"protocol": evaluation.protocol, "simulator": evaluation.simulator}
            returns = np.where(
                np.isnan(evaluation.normalized_return), evaluation.mean_return, evaluation.normalized_return
            )
            scores = np.where(np.isnan(evaluation.success_any), returns, evaluation.success_any)
            found[seed] = Result(made, dict(zip(evaluation.tasks, map(float, scores), strict=True)))
    return found


def metrics_by_seed(folders: Mapping[int, Path], warn: Warn) -> dict[int, Result]:
    """Metrics of the supervised seeds that are evaluated."""
    found = {}
    for seed, folder in folders.items():
        if (result := read_metric_run(folder, warn).outcome.result) is not None:
            values = {kind.name: float(value) for kind, value in zip(result.kinds, result.values, strict=True)}
            found[seed] = Result({"protocol": result.protocol, "data": result.data}, values)
    return found


def compare_results(names: Sequence[str], one: Results, other: Results, protocol: str | None) -> Comparison | str:
    """Both runs' results side by side, or why they are not.

    Args:
        names: of the two runs.
        one: of the first, one seed at least.
        other: of the second.
        protocol: None for metrics, whose mean is of no use.
    """
    first, second = next(iter(one.values())), next(iter(other.values()))
    different = [f"{part}.{key}" for part in first.made for key in differences(first.made[part], second.made[part])]
    if different:
        return f"not compared, the evaluations differ in {', '.join(different)}"
    tasks = [name for name in first.scores if name in second.scores]
    if not tasks:
        return "not compared, the runs have no task in common"
    seeds = sorted(one.keys() & other.keys())
    a = _scores(one, seeds or sorted(one), tasks)
    b = _scores(other, seeds or sorted(other), tasks)
    notes = [_pairing(seeds, a, b, with_test=protocol is not None)]
    if only := sorted(first.scores.keys() ^ second.scores.keys()):
        notes.append(f"Left out, because one run alone has them: {', '.join(only)}.")
    if protocol == LEGACY:
        notes.append(f"Protocol legacy is {BIAS}.")
    if protocol is not None and len(tasks) > 1:
        tasks = [*tasks, "mean"]
        a, b = (np.column_stack([scores, scores.mean(axis=1)]) for scores in (a, b))
    rows = [
        [
            task,
            f"{a[:, i].mean():.4g}",
            f"{b[:, i].mean():.4g}",
            f"{b[:, i].mean() - a[:, i].mean():+.3g}",
            _interval(a[:, [i]], b[:, [i]]) if len(seeds) >= MIN_RUNS_FOR_INTERVAL else NOTHING,
        ]
        for i, task in enumerate(tasks)
    ]
    return Comparison(["", *names, "difference", "95% interval"], rows, " ".join(notes))


def _scores(results: Results, seeds: list[int], tasks: list[str]) -> NDArray[np.float64]:
    """The scores of seeds on tasks, `[R, T]`."""
    return np.array([[results[seed].scores[task] for task in tasks] for seed in seeds])


def _interval(a: NDArray[np.float64], b: NDArray[np.float64]) -> str:
    """The interval of the mean difference of one task's scores, `[R, 1]` each, as text."""
    ends = bootstrap_interval(b - a, generator=np.random.default_rng(_RESAMPLING_SEED))
    return f"{ends.low:+.3g} to {ends.high:+.3g}"


def _pairing(seeds: list[int], a: NDArray[np.float64], b: NDArray[np.float64], *, with_test: bool) -> str:
    if not seeds:
        return f"No seed in common: means of {len(a)} and of {len(b)} seeds, not paired, and no interval."
    text = f"Paired over seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}; the second less the first."
    if len(seeds) < MIN_RUNS_FOR_INTERVAL:
        return f"{text} No interval: at least {MIN_RUNS_FOR_INTERVAL} seeds in common are needed."
    text += " Interval: percentile bootstrap over seeds."
    if not with_test:
        return text
    pairs = compare_pairs(b, a, generator=np.random.default_rng(_RESAMPLING_SEED))
    return f"{text} The second is better in {pairs.wins} of {pairs.runs} seeds, p = {pairs.p_value:.2g} (sign flips)."
