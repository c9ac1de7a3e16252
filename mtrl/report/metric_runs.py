"""A supervised run folder, read: its configuration, its metrics over the epochs and its evaluation.

Axes: `N` evaluated epochs, `K` metrics.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtrl.report.groups import by_name, differences
from mtrl.report.history import History, read_history
from mtrl.runs.errors import UserError
from mtrl.runs.reading import (
    Record,
    Warn,
    as_written,
    read_config,
    read_evaluation_record,
    read_run_files,
)

SINGLE_TASK = "single_task"


@dataclass(frozen=True)
class MetricKind:
    """What a number of the table is."""

    name: str
    task: str
    higher_is_better: bool
    unit: str


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
class MetricRun:
    """One seed."""

    folder: Path
    name: str
    seed: int
    config: Record
    method: str
    source: str
    """Of the data."""
    device: str
    hardware: str
    git_commit: str | None
    versions: Record
    """Of packages."""
    epochs: int
    """Trained so far."""
    wall_s: float
    evaluated: NDArray[np.int64]
    """Epochs with test metrics, `[N]`."""
    curves: dict[str, NDArray[np.float64]]
    """Test metrics by name, `[N]`."""
    history: History
    """Its steps are epochs."""
    result: MetricResult | None


@dataclass(frozen=True)
class MetricGroup:
    """The seeds of one configuration."""

    name: str
    runs: tuple[MetricRun, ...]
    """Sorted by seed."""

    @property
    def method(self) -> str:
        """Name of the aggregation method."""
        return self.runs[0].method

    @property
    def results(self) -> tuple[MetricResult, ...]:
        """The evaluations there are."""
        return tuple(run.result for run in self.runs if run.result is not None)

    @property
    def values(self) -> NDArray[np.float64]:
        """Metrics of the evaluated seeds, `[R, K]`."""
        return np.array([result.values for result in self.results])


def is_supervised(folder: Path) -> bool:
    """Whether a run folder is one of supervised learning; False if its configuration cannot be read."""
    try:
        return "benchmark" in read_config(folder)
    except UserError:
        return False


def read_metric_groups(folders: Iterable[Path], warn: Warn) -> tuple[MetricGroup, ...]:
    """Read supervised runs, in the order given.

    The first run decides the benchmark, the first evaluation the data and the protocol: a run of another benchmark is
    left out, an evaluation of other data or under another protocol is not counted.

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
        if runs and (different := differences(runs[0].config["benchmark"], run.config["benchmark"])):
            warn(f"left out: {folder} differs from {runs[0].folder} in benchmark.{', benchmark.'.join(different)}")
        else:
            runs.append(run)
    if not runs:
        raise UserError("no run is left to report")
    return tuple(MetricGroup(name, seeds) for name, seeds in by_name(_comparable(runs, warn), warn).items())


def read_metric_run(folder: Path, warn: Warn) -> MetricRun:
    """Read one run folder; a run still going is read as far as it goes.

    Raises:
        UserError: a file is missing or is not what a run writes.
    """
    evaluation = folder / "evaluation.json"
    files = read_run_files(folder, warn)
    with as_written(folder):
        config, start, train = files.config, files.start, files.train
        tests = [record for record in files.evaluations if record["split"] == "test"]
        names = [*tests[0]["metrics"]] if tests else []
        return MetricRun(
            folder=folder,
            name=str(config["name"]),
            seed=int(start["seed"]),
            config=config,
            method=str(config["method"]["name"]),
            source=str(start["data"]["source"]),
            device=str(start["device"]),
            hardware=str(start["hardware"]),
            git_commit=start["git_commit"],
            versions=start.get("versions", {}),
            epochs=int(train[-1]["epoch"]) if train else 0,
            wall_s=float(train[-1]["wall_s"]) if train else 0.0,
            evaluated=np.array([record["epoch"] for record in tests], dtype=np.int64),
            curves={name: np.array([record["metrics"][name] for record in tests], np.float64) for name in names},
            history=read_history(train, tuple(train[-1]["loss"]) if train else (), "epoch"),
            result=parse_metric_result(read_evaluation_record(evaluation)) if evaluation.exists() else None,
        )


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
    """The same runs; an evaluation that differs from the first in how it was made is taken away."""
    first: MetricRun | None = None
    kept = []
    for run in runs:
        result = run.result
        if result is None:
            warn(f"{run.folder} has no evaluation: it is in the curves, not in the table")
        elif first is None or first.result is None:
            first = run
        elif different := _different(first.result, result):
            warn(f"{run.folder}: its evaluation differs from that of {first.folder} in {different}, not counted")
            result = None
        kept.append(replace(run, result=result))
    return kept


def _different(one: MetricResult, other: MetricResult) -> str:
    pairs = [("protocol", one.protocol, other.protocol), ("data", one.data, other.data)]
    found = [f"{part}.{key}" for part, a, b in pairs for key in differences(a, b)]
    return ", ".join(found + ["metrics"] * (one.kinds != other.kinds))
