"""The table of a supervised benchmark: every metric of every group, delta_m and mean rank.

Axes: `G` groups, `R` seeds, `K` metrics.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mtrl.report.baseline import Baseline, find_baseline
from mtrl.report.latex import latex
from mtrl.report.metric_runs import MetricGroup, MetricKind, metric_values, results
from mtrl.report.success_table import BOOTSTRAP_SEED, no_interval
from mtrl.report.table import NOTHING, Cell, Column, Table, markdown, rate, shown, signed
from mtrl.runs.reading import Warn
from mtrl.statistics import MIN_RUNS_FOR_INTERVAL, Interval, bootstrap_interval, delta_m, delta_p, mean_rank

_HOW_TO_READ = (
    "Mean over seeds. delta_m and mean rank are over metrics, delta_p is over tasks; ties share their ranks. "
    f"Interval: 95% percentile bootstrap over seeds, from {MIN_RUNS_FOR_INTERVAL} on."
)
_CSV_FIELDS = ("run", "method", "seeds", "metric", "task", "unit", "higher_is_better", "value", "low", "high")


@dataclass(frozen=True)
class MetricColumn:
    """The metrics of one group of seeds, a column of the table."""

    name: str
    method: str
    seeds: int
    values: NDArray[np.float64]
    """Mean over seeds, `[K]`."""
    delta_m: float | None
    """Mean over seeds, per cent, lower is better; None without a baseline, and for the baseline itself."""
    delta_m_interval: Interval | None
    """None for fewer than `MIN_RUNS_FOR_INTERVAL` seeds."""
    delta_p: float | None
    """LibMTL's definition, higher is better."""
    rank: float | None
    """Mean rank among the multi-task methods; None if there is one alone."""


@dataclass(frozen=True)
class MetricTable:
    """What `metrics.md` and `metrics.csv` hold."""

    kinds: tuple[MetricKind, ...]
    columns: tuple[MetricColumn, ...]
    baseline: Baseline
    caption: str


def metric_table(groups: Sequence[MetricGroup], warn: Warn) -> MetricTable | None:
    """The table of all groups with an evaluation, None if there is none."""
    evaluated = [group for group in groups if results(group)]
    if not evaluated:
        return None
    first = results(evaluated[0])[0]
    baseline = find_baseline(evaluated, warn)
    methods = [group for group in evaluated if not group.is_single_task]
    higher = [kind.higher_is_better for kind in first.kinds]
    ranks: dict[str, float] = {}
    if len(methods) > 1:
        means = np.array([metric_values(group).mean(axis=0) for group in methods])
        ranks = dict(zip((g.name for g in methods), mean_rank(means, higher).tolist(), strict=True))
    columns = tuple(_column(group, first.kinds, baseline, ranks.get(group.name)) for group in evaluated)
    protocol = ", ".join(f"{key} {value}" for key, value in first.protocol.items() if not isinstance(value, list))
    sizes = [f"{name} {first.data[name]:,}" for name in ("train", "validation", "test") if first.data.get(name)]
    caption = f"Data: {', '.join([first.data['source'], *sizes])}. Protocol: {protocol}."
    return MetricTable(first.kinds, columns, baseline, caption)


def metric_rows(table: MetricTable) -> tuple[list[str], list[list[str]]]:
    """The table as text cells: the header, and a row for each metric and summary."""
    published = _published(table)
    header = ["metric", *([table.baseline.title] if published is not None else []), *(c.name for c in table.columns)]
    values = [*([published] if published is not None else []), *(column.values for column in table.columns)]
    rows = [[kind.label, *(_number(own[k]) for own in values)] for k, kind in enumerate(table.kinds)]
    blank = [NOTHING] if published is not None else []
    if len({(kind.unit, kind.higher_is_better) for kind in table.kinds}) == 1 < len(table.kinds):  # CelebA's 40 errors
        label = replace(table.kinds[0], name="mean").label
        rows.append([label, *(_number(own.mean()) for own in values)])
    if table.baseline.values is not None:
        rows.append(["delta_m, % ↓", *blank, *(shown(c.delta_m, signed) for c in table.columns)])
        if any(c.delta_m_interval for c in table.columns):
            intervals = [shown(c.delta_m_interval, signed) for c in table.columns]
            rows.append(["95% interval of delta_m", *blank, *intervals])
        rows.append(["delta_p (LibMTL), % ↑", *blank, *(shown(c.delta_p, signed) for c in table.columns)])
    if any(column.rank is not None for column in table.columns):
        rows.append(["mean rank ↓", *blank, *(shown(c.rank, rate) for c in table.columns)])
    return header, rows


def methods_table(table: MetricTable) -> Table:
    """A row per method, the least delta_m first; the baseline's too."""
    columns = [
        Column("run", "method"),
        Column("seeds", "seeds"),
        Column("delta_m", "delta_m, % ↓", signed),
        Column("delta_m", "95% interval", signed, is_interval=True),
        Column("delta_p", "delta_p (LibMTL), % ↑", signed),
        Column("rank", "mean rank ↓", rate),
        *(Column(kind.name, kind.label, _cell) for kind in table.kinds),
    ]
    rows: list[Sequence[Cell]] = [
        (c.name, c.seeds, c.delta_m, c.delta_m_interval, c.delta_p, c.rank, *map(float, c.values))
        for c in sorted(table.columns, key=lambda c: np.inf if c.delta_m is None else c.delta_m)
    ]
    if (published := _published(table)) is not None:
        rows.append((table.baseline.title, None, None, None, None, None, *map(float, published)))
    few = no_interval({c.name: c.seeds for c in table.columns})
    return Table("methods", "Metrics", columns, rows, [table.caption, table.baseline.note, _HOW_TO_READ, *few])


def metrics_markdown(table: MetricTable | None, runs: Table, warnings: Sequence[str]) -> str:
    """`metrics.md`: the table, how it was made, the runs behind it, and what was left out."""
    parts = ["# Metrics"]
    if table is None:
        parts.append("No run has an evaluation yet.")
    else:
        parts += [markdown(*metric_rows(table)), table.caption, table.baseline.note]
        parts.append(_HOW_TO_READ)
    parts += ["## Runs", markdown(runs.header, runs.texts)]
    if warnings:
        parts += ["## Left out", "\n".join(f"- {warning}" for warning in warnings)]
    return "\n\n".join(parts) + "\n"


def metrics_latex(table: MetricTable) -> str:
    """`metrics.tex`: the same as LaTeX."""
    return latex("metrics", "Metrics", *metric_rows(table), [table.caption, table.baseline.note, _HOW_TO_READ])


def metrics_csv(table: MetricTable | None) -> str:
    """`metrics.csv`: a line per group and metric, then delta_m, delta_p and mean rank where there are any."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _CSV_FIELDS, restval="", lineterminator="\n")
    writer.writeheader()
    for column in table.columns if table else ():
        own = {"run": column.name, "method": column.method, "seeds": column.seeds}
        writer.writerows(own | record for record in _csv_records(table.kinds if table else (), column))
    return text.getvalue()


def _column(group: MetricGroup, kinds: Sequence[MetricKind], baseline: Baseline, rank: float | None) -> MetricColumn:
    values = metric_values(group)
    of_m, of_p, interval = None, None, None
    if baseline.values is not None and group.name != baseline.title:
        higher, tasks = [kind.higher_is_better for kind in kinds], [kind.task for kind in kinds]
        per_seed = delta_m(values, baseline.values, higher)
        of_m, of_p = float(per_seed.mean()), float(delta_p(values, baseline.values, higher, tasks).mean())
        if len(per_seed) >= MIN_RUNS_FOR_INTERVAL:
            interval = bootstrap_interval(per_seed[:, None], generator=np.random.default_rng(BOOTSTRAP_SEED))
    return MetricColumn(group.name, group.method, len(values), values.mean(axis=0), of_m, interval, of_p, rank)


def _csv_records(kinds: Sequence[MetricKind], column: MetricColumn) -> Iterator[dict[str, object]]:
    for kind, value in zip(kinds, column.values, strict=True):
        fields = {"task": kind.task, "unit": kind.unit, "higher_is_better": kind.higher_is_better}
        yield {"metric": kind.name, **fields, "value": value}
    if column.delta_m is not None:
        ends = column.delta_m_interval
        limits = {"low": ends.low, "high": ends.high} if ends else {}
        yield {"metric": "(delta_m)", "unit": "%", "higher_is_better": False, "value": column.delta_m, **limits}
    if column.delta_p is not None:
        yield {"metric": "(delta_p)", "unit": "%", "higher_is_better": True, "value": column.delta_p}
    if column.rank is not None:
        yield {"metric": "(mean rank)", "higher_is_better": False, "value": column.rank}


def _published(table: MetricTable) -> NDArray[np.float64] | None:
    """The papers' baseline, if it is taken, `[K]`."""
    return table.baseline.values if table.baseline.title not in {c.name for c in table.columns} else None


def _cell(value: Cell) -> str:
    return _number(value) if isinstance(value, float) else str(value)


def _number(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
