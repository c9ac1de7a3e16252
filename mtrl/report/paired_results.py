"""The evaluations of two runs side by side, paired over their seeds.

Axes: `R` seeds, `T` tasks (or metrics).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtrl.protocols import BIAS, EVALUATION_FILES, LEGACY
from mtrl.report.measure import NORMALIZED, RETURN, SUCCESS, Measure
from mtrl.report.metric_runs import read_metric_run
from mtrl.report.power import detectable_difference, power_note
from mtrl.report.runs import differences
from mtrl.report.success_runs import Evaluation, read_own_evaluation
from mtrl.report.table import NOTHING
from mtrl.runs.metrics_file import read_events
from mtrl.runs.reading import Warn
from mtrl.statistics import MIN_RUNS_FOR_INTERVAL, bootstrap_interval, compare_pairs

_RESAMPLING_SEED = 0  # the same runs give the same interval, always
_LAST_LINES = 10  # of a log: one of them has its last step


@dataclass(frozen=True)
class Result:
    """The result of one seed's evaluation."""

    made: Mapping[str, Mapping[str, Any]]
    """How: two results can be compared if this is equal."""
    scores: dict[str, float]
    """By task, or by metric with its unit and which way is better."""
    step: int | None = None
    """Of the checkpoint; None for metrics."""
    done: int = 0
    """Steps that the run has trained; 0 if that is not known."""


Results = Mapping[int, Result]
"""By seed."""


@dataclass(frozen=True)
class Comparison:
    """The comparison of two runs as a table of text cells, and a note on it."""

    header: list[str]
    rows: list[list[str]]
    note: str


def scores_by_seed(runs: Sequence[Mapping[int, Path]], protocol: str, warn: Warn) -> dict[Measure, list[Results]]:
    """Success and returns under one protocol, each of the tasks that have it.

    Args:
        runs: folders by seed.
        protocol: `modern` or `legacy`.
        warn: is given a line for an evaluation of another seed, which is left out.

    Returns:
        For each measure the results of each run, of the seeds with such an evaluation; empty if a run has none. Returns
        are normalized if all are.
    """
    file = EVALUATION_FILES[protocol]
    there = [{seed: path for seed, at in run.items() if (path := at / file).exists()} for run in runs]
    owned = [{seed: read_own_evaluation(path, seed, warn) for seed, path in run.items()} for run in there]
    read = [{seed: evaluation for seed, evaluation in run.items() if evaluation is not None} for run in owned]
    if not all(read):
        return {}
    all_read = [evaluation for run in read for evaluation in run.values()]
    are_normalized = all(np.isfinite(each.normalized_return[np.isnan(each.success_any)]).all() for each in all_read)
    done = {at: _done(at) for run in runs for at in run.values()}
    found: dict[Measure, list[Results]] = {}
    for measure in (SUCCESS, NORMALIZED if are_normalized else RETURN):
        results = [
            {seed: replace(_result(evaluation, measure), done=done[at[seed]]) for seed, evaluation in run.items()}
            for at, run in zip(runs, read, strict=True)
        ]
        if any(result.scores for run in results for result in run.values()):
            found[measure] = [*results]
    return found


def _done(folder: Path) -> int:
    """The last step in a run's log; 0 without any."""
    events = read_events(folder / "metrics.jsonl", last=_LAST_LINES)
    return max((event.get("step", 0) for event in events), default=0)


def _result(evaluation: Evaluation, measure: Measure) -> Result:
    """Of the tasks with success, or of those without."""
    scored = zip(evaluation.tasks, evaluation.success_any, getattr(evaluation, measure.key), strict=True)
    scores = {task: float(score) for task, success, score in scored if np.isnan(success) == (measure != SUCCESS)}
    made = {"protocol": evaluation.protocol, "simulator": evaluation.simulator}
    return Result(made, scores, evaluation.step)


def metrics_by_seed(folders: Mapping[int, Path], warn: Warn) -> dict[int, Result]:
    """Metrics of the supervised seeds that are evaluated."""
    found = {}
    for seed, folder in folders.items():
        if (result := read_metric_run(folder, warn).outcome.result) is not None:
            values = {kind.label: float(value) for kind, value in zip(result.kinds, result.values, strict=True)}
            found[seed] = Result({"protocol": result.protocol, "data": result.data}, values)
    return found


def compare_results(
    names: Sequence[str], runs: Sequence[Results], protocol: str | None, all_seeds: Sequence[Collection[int]]
) -> Comparison | str:
    """Both runs' results side by side, or why they are not.

    Args:
        names: of the two runs.
        runs: the results of each, of one seed at least.
        protocol: None for metrics, whose mean is of no use.
        all_seeds: of each run, those without a result among them.
    """
    one, other = max((_made_as(each, runs) for each in runs[0].values()), key=_shared)
    first = next(iter(one.values()))
    if not other:
        return f"not compared, the evaluations differ in {_differences(first, next(iter(runs[1].values())))}"
    apart = [_apart(name, run, used, first) for name, run, used in zip(names, runs, (one, other), strict=True)]
    missing = zip(names, all_seeds, runs, strict=True)
    apart += [_left_out(name, {*seeds} - run.keys(), "no evaluation") for name, seeds, run in missing]
    of_all = [result.scores for run in (one, other) for result in run.values()]
    tasks = [name for name in first.scores if all(name in scores for scores in of_all)]
    if not tasks:
        return "not compared, the runs have no task in common"
    seeds = sorted(one.keys() & other.keys())
    if seeds:
        alone = zip(names, (one, other), reversed(all_seeds), strict=True)
        apart += [_left_out(name, used.keys() - {*theirs}, "alone") for name, used, theirs in alone]
    a = _scores(one, seeds or sorted(one), tasks)
    b = _scores(other, seeds or sorted(other), tasks)
    notes = [_pairing(seeds, a, b, with_test=protocol is not None), *filter(None, apart)]
    if only := sorted({name for scores in of_all for name in scores} - {*tasks}):
        notes.append(f"Left out, because not all have them: {', '.join(only)}.")
    if protocol != LEGACY:
        notes += _steps([result for run in (one, other) for result in run.values()])
    else:
        notes.append(f"Protocol legacy is {BIAS}.")
    if protocol is not None and len(tasks) > 1:
        tasks = [*tasks, "mean"]
        a, b = (np.column_stack([scores, scores.mean(axis=1)]) for scores in (a, b))
    rows = [
        [
            task,
            f"{a[:, i].mean():.4g}",
            f"{b[:, i].mean():.4g}",
            _signed(b[:, i].mean() - a[:, i].mean()),
            _interval(a[:, [i]], b[:, [i]]) if len(seeds) >= MIN_RUNS_FOR_INTERVAL else NOTHING,
        ]
        for i, task in enumerate(tasks)
    ]
    return Comparison(["", *names, "difference", "95% interval"], rows, " ".join(notes))


def _made_as(reference: Result, runs: Sequence[Results]) -> list[dict[int, Result]]:
    """Of each run the results that were made as one was."""
    return [{seed: result for seed, result in run.items() if result.made == reference.made} for run in runs]


def _shared(alike: Sequence[Results]) -> tuple[int, int]:
    """How many seeds two runs have in common, and at least have each."""
    one, other = alike
    return len(one.keys() & other.keys()), min(len(one), len(other))


def _apart(name: str, run: Results, used: Results, first: Result) -> str:
    """What to say of the seeds whose evaluations were made otherwise; empty if there are none."""
    seeds = [seed for seed in run if seed not in used]
    return _left_out(name, seeds, f"evaluated with another {_differences(first, run[seeds[0]])}") if seeds else ""


def _steps(results: Sequence[Result]) -> list[str]:
    """What to say of evaluations of different steps, and of those that are not of their run's end."""
    notes = []
    steps = {result.step for result in results if result.step is not None}
    if len(steps) > 1:
        notes.append(f"Evaluations of different steps: {_span(steps)}.")
    early = [(result.step, result.done) for result in results if result.step is not None and result.step < result.done]
    if early:
        of, at = map(set, zip(*early, strict=True))
        notes.append(f"Evaluations of step {_span(of)} of runs that are at {_span(at)}.")
    return notes


def _span(steps: Collection[int]) -> str:
    """From the first to the last."""
    return " to ".join(f"{step:,}" for step in sorted({min(steps), max(steps)}))


def _left_out(name: str, seeds: Iterable[int], why: str) -> str:
    """What to say of seeds of a run; empty if there are none."""
    return f"Left out: {listed(out)} of {name}, {why}." if (out := sorted(seeds)) else ""


def listed(seeds: Sequence[int]) -> str:
    """`seed 0`, or `seeds 0, 1`."""
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"


def _differences(one: Result, other: Result) -> str:
    """In what two results were made otherwise: `protocol.horizon, ...`."""
    return ", ".join(f"{part}.{key}" for part in one.made for key in differences(one.made[part], other.made[part]))


def _scores(results: Results, seeds: list[int], tasks: list[str]) -> NDArray[np.float64]:
    """The scores of seeds on tasks, `[R, T]`."""
    return np.array([[results[seed].scores[task] for task in tasks] for seed in seeds])


def _interval(a: NDArray[np.float64], b: NDArray[np.float64]) -> str:
    """The interval of the mean difference of one task's scores, `[R, 1]` each, as text."""
    ends = bootstrap_interval(b - a, generator=np.random.default_rng(_RESAMPLING_SEED))
    return f"{_signed(ends.low)} to {_signed(ends.high)}"


def _signed(difference: float) -> str:
    """With its sign; what rounding alone keeps from zero is zero."""
    return f"{round(float(difference), 9) + 0.0:+.3g}"


def _pairing(seeds: list[int], a: NDArray[np.float64], b: NDArray[np.float64], *, with_test: bool) -> str:
    if not seeds:
        return f"No seed in common: means of {len(a)} and of {len(b)} seeds, not paired, and no interval."
    text = f"Paired over {listed(seeds)}; the second less the first."
    if len(seeds) < MIN_RUNS_FOR_INTERVAL:
        return f"{text} No interval: at least {MIN_RUNS_FOR_INTERVAL} seeds in common are needed."
    text += " Interval: percentile bootstrap over seeds."
    if not with_test:
        return text
    pairs = compare_pairs(b, a, generator=np.random.default_rng(_RESAMPLING_SEED))
    text += f" The second is better in {pairs.wins} of {pairs.runs} seeds, p = {pairs.p_value:.3g} (sign flips)."
    detectable = detectable_difference(pairs.differences)
    if detectable is None:
        return text
    return f"{text} Could show: {detectable:.3g} of the mean, {power_note([pairs.runs])}"
