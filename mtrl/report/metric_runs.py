"""Supervised runs, read: metrics over the epochs, and the evaluation.

Axes: `N` evaluated epochs, `K` metrics.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtrl.report.made_with import made_with
from mtrl.report.runs import Group, Run, differences, grouped, read_seed
from mtrl.runs.errors import UserError
from mtrl.runs.reading import (
    Record,
    Warn,
    as_written,
    read_own_evaluation_record,
    read_run_files,
)


@dataclass(frozen=True)
class MetricKind:
    """A metric: its name, unit and task, and which way is better."""

    name: str
    task: str
    higher_is_better: bool
    unit: str

    @property
    def label(self) -> str:
        """All that a table's reader needs, on one line."""
        return f"{self.name}{f', {self.unit}' if self.unit else ''} {'↑' if self.higher_is_better else '↓'}"


@dataclass(frozen=True)
class MetricResult:
    """`evaluation.json`: the metrics that count."""

    protocol: Record
    data: Record
    kinds: tuple[MetricKind, ...]
    values: NDArray[np.float64]
    """`[K]`."""
    published: NDArray[np.float64] | None
    """The papers' single-task metrics, `[K]`; None where they do not hold for this network."""


@dataclass(frozen=True)
class Metrics:
    """What a supervised run reached: its test metrics over the epochs, and its evaluation."""

    source: str
    """Of the data."""
    evaluated: NDArray[np.int64]
    """Epochs with test metrics, `[N]`."""
    curves: dict[str, NDArray[np.float64]]
    """Test metrics by name, `[N]`."""
    result: MetricResult | None


MetricRun = Run[Metrics]
MetricGroup = Group[Metrics]
_MEMORY = "cache_gib"
"""Of a benchmark: on it no number depends."""


def results(group: MetricGroup) -> tuple[MetricResult, ...]:
    """The evaluations of those seeds that have one."""
    return tuple(run.outcome.result for run in group.runs if run.outcome.result is not None)


def metric_values(group: MetricGroup) -> NDArray[np.float64]:
    """Metrics of the evaluated seeds, `[R, K]`."""
    return np.array([result.values for result in results(group)])


def read_metric_groups(folders: Iterable[Path], warn: Warn) -> tuple[MetricGroup, ...]:
    """Read supervised runs, in the order given.

    The first run decides the benchmark, the first evaluation the data and the protocol: a run of another benchmark is
    left out, an evaluation of other data or under another protocol is not counted. Single-task models may have another
    network than the others, as the papers' have.

    Args:
        folders: of the seeds.
        warn: is given a line for everything left out.

    Raises:
        UserError: no run can be read, or two have the same name and seed.
    """
    runs: list[MetricRun] = []
    for folder in folders:
        try:
            run = read_metric_run(folder, warn)
        except UserError as error:
            warn(f"left out: {error}")
            continue
        like = next((one for one in runs if one.is_single_task == run.is_single_task), next(iter(runs), run))
        may_differ = {_MEMORY} | ({"network"} if like.is_single_task != run.is_single_task else set())
        different = differences(like.config["benchmark"], run.config["benchmark"])
        if different := [name for name in different if name not in may_differ]:
            warn(f"left out: {folder} differs from {like.folder} in benchmark.{', benchmark.'.join(different)}")
        else:
            runs.append(run)
    if not runs:
        raise UserError("no run is left to report")
    return grouped(_comparable(runs, warn), warn)


def read_metric_run(folder: Path, warn: Warn) -> MetricRun:
    """Read one run folder; a run still going is read as far as it goes.

    Raises:
        UserError: a file is missing or is not what a run writes.
    """
    evaluation = folder / "evaluation.json"
    files = read_run_files(folder, warn)
    with as_written(folder):
        start, train = files.start, files.train
        if "name" not in files.config["method"]:
            raise KeyError("name")
        tests = [record for record in files.evaluations if record["split"] == "test"]
        names = [*tests[0]["metrics"]] if tests else []
        record = read_own_evaluation_record(evaluation, start["seed"], warn) if evaluation.exists() else None
        metrics = Metrics(
            source=str(start["data"]["source"]),
            evaluated=np.array([record["epoch"] for record in tests], dtype=np.int64),
            curves={name: np.array([record["metrics"][name] for record in tests], np.float64) for name in names},
            result=None if record is None else parse_metric_result(record),
        )
        of, done = (record or {}).get("checkpoint", {}).get("epoch", 0), train[-1]["epoch"] if train else 0
        if of and of != done:
            warn(f"{folder}: its evaluation is of epoch {of:,}, and its log ends at epoch {done:,}")
        tasks = tuple(train[-1]["loss"]) if train else ()
        made = made_with(files.starts)
        return read_seed(folder, files, made, metrics, made.get("versions", {}), tasks, "epoch")


def parse_metric_result(record: Record) -> MetricResult:
    """The evaluation in a mapping as `evaluation.json` has it.

    Raises:
        KeyError, TypeError, ValueError: the mapping is none.
    """
    rows = record["metrics"]
    published = record["published_single_task"]
    return MetricResult(
        protocol=dict(record["protocol"]),
        data=dict(record["data"]),
        kinds=tuple(
            MetricKind(str(row["name"]), str(row["task"]), bool(row["higher_is_better"]), str(row["unit"]))
            for row in rows
        ),
        values=np.array([row["value"] for row in rows], dtype=np.float64),
        published=None if published is None else np.array([published[row["name"]] for row in rows], dtype=np.float64),
    )


def _comparable(runs: list[MetricRun], warn: Warn) -> list[MetricRun]:
    """The runs, without those evaluations that were made in another way than the first."""
    first: MetricRun | None = None
    kept = []
    for run in runs:
        result = run.outcome.result
        if result is None:
            warn(f"{run.folder} has no evaluation: it is in the curves, not in the table")
        elif first is None or first.outcome.result is None:
            first = run
        elif different := _different(first.outcome.result, result):
            warn(f"{run.folder}: its evaluation differs from that of {first.folder} in {different}, not counted")
            result = None
        kept.append(replace(run, outcome=replace(run.outcome, result=result)))
    return kept


def _different(one: MetricResult, other: MetricResult) -> str:
    pairs = [("protocol", one.protocol, other.protocol), ("data", one.data, other.data)]
    found = [f"{part}.{key}" for part, a, b in pairs for key in differences(a, b)]
    return ", ".join(found + ["metrics"] * (one.kinds != other.kinds))
