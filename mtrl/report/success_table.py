"""The success table: per task any-step and final-step success of every group, mean over its seeds.

The same table is written as Markdown for people and as CSV, one value set a line, for programs.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtrl.report.latex import latex
from mtrl.report.parts import Division, Scores
from mtrl.report.success_runs import Evaluation
from mtrl.report.table import NOTHING, Table, markdown
from mtrl.runs.reading import Record
from mtrl.statistics import MIN_RUNS_FOR_INTERVAL, Estimate, Summary, summarize

BOOTSTRAP_SEED = 0  # the same runs give the same interval, always
HOW_TO_READ = (
    "Any-step: success at some step of the episode; final-step: at its last step. Mean over seeds. IQM: mean of the "
    "middle half of all seeds and tasks. Interval: 95% percentile bootstrap over seeds, stratified by task; with few "
    "seeds it covers less than it says."
)
_SUCCESS_FIELDS = tuple(f"success_{kind}{end}" for kind in ("any", "final") for end in ("", "_low", "_high"))
_CSV_FIELDS = ("run", "seeds", "task", "episodes", *_SUCCESS_FIELDS, "mean_return")


@dataclass(frozen=True)
class SuccessColumn:
    """Success of one group over its `R` evaluated seeds."""

    name: str
    seeds: int
    any_step: Summary
    final_step: Summary
    mean_return: NDArray[np.float64]
    """`[T]`."""


@dataclass(frozen=True)
class SuccessTable:
    """What `success.md` and `success.csv` hold."""

    tasks: tuple[str, ...]
    episodes: tuple[int, ...]
    """Per task and seed."""
    caption: str
    columns: tuple[SuccessColumn, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """Why a group has no interval."""
        return tuple(no_interval({column.name: column.seeds for column in self.columns}))


def no_interval(seeds: Mapping[str, int]) -> Iterator[str]:
    """Why some groups have none, given the number of seeds of all: a line for each number that is too small."""
    for count in sorted({count for count in seeds.values() if count < MIN_RUNS_FOR_INTERVAL}):
        names = [name for name, own in seeds.items() if own == count]
        yield (
            f"{', '.join(names)}: {count} seed{'s' if count > 1 else ''}{' each' if len(names) > 1 else ''}, so no "
            f"interval; at least {MIN_RUNS_FOR_INTERVAL} seeds are needed to speak of others."
        )


def success_table(division: Division) -> SuccessTable:
    """The table of a division's evaluations."""
    first = division.reference
    columns = tuple(_column(scores) for scores in division.scores)
    return SuccessTable(first.tasks, first.episodes, caption(first.protocol, first.simulator), columns)


def caption(protocol: Record, simulator: Record) -> str:
    """How the numbers were made, in two sentences."""
    versions = ", ".join(f"{name} {version}" for name, version in simulator["versions"].items())
    return (
        f"Protocol {protocol['name']}: {protocol['episodes']} episodes per task, "
        f"horizon {protocol['horizon']}; policy: {protocol['policy']}; "
        f"goals: {protocol['goals']}; reward: {protocol['reward']}. "
        f"Simulator {simulator['backend']} ({versions})."
    )


def header_and_rows(table: SuccessTable) -> tuple[list[str], list[list[str]]]:
    """The table as text cells: two columns a group, the tasks, then mean, IQM and interval."""
    header = ["task"]
    for column in table.columns:
        header += [f"{column.name} any-step", f"{column.name} final-step"]
    summaries = [summary for column in table.columns for summary in (column.any_step, column.final_step)]
    rows = [[task, *(_number(s.per_task[i]) for s in summaries)] for i, task in enumerate(table.tasks)]
    rows.append(["mean", *(_number(s.mean.value) for s in summaries)])
    rows.append(["IQM", *(_number(s.iqm.value) for s in summaries)])
    if any(s.iqm.interval for s in summaries):
        rows.append(["95% interval of the mean", *(_interval(s.mean) for s in summaries)])
        rows.append(["95% interval of the IQM", *(_interval(s.iqm) for s in summaries)])
    return header, rows


def success_markdown(tables: Sequence[SuccessTable], runs: Table, warnings: Sequence[str]) -> str:
    """`success.md`: each table and how it was made, the runs behind them, and what was left out or stands apart."""
    parts = ["# Success"]
    if not tables:
        parts.append("No run has an evaluation yet.")
    for table in tables:
        parts += [markdown(*header_and_rows(table)), table.caption, HOW_TO_READ, *table.notes]
    parts += ["## Runs", markdown(runs.header, runs.texts)]
    if warnings:
        parts += ["## Left out, or apart", "\n".join(f"- {warning}" for warning in warnings)]
    return "\n\n".join(parts) + "\n"


def success_latex(name: str, table: SuccessTable) -> str:
    """`success.tex`: the same as LaTeX."""
    return latex(name, "Success", *header_and_rows(table), [table.caption, HOW_TO_READ, *table.notes])


def success_csv(table: SuccessTable) -> str:
    """`success.csv`: a line per group and task, then mean and IQM; empty cells where there is no value."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _CSV_FIELDS, restval="", lineterminator="\n")
    writer.writeheader()
    for column in table.columns:
        own = {"run": column.name, "seeds": column.seeds}
        writer.writerows(own | record for record in _csv_records(table, column))
    return text.getvalue()


def evaluation_rows(result: Evaluation) -> tuple[list[str], list[list[str]]]:
    """One evaluation as text cells: a row per task and the mean."""
    values = zip(result.success_any, result.success_final, result.mean_return, strict=True)
    rows = [
        [task, _number(any_step), _number(final_step), f"{mean_return:.1f}", str(episodes)]
        for task, episodes, (any_step, final_step, mean_return) in zip(
            result.tasks, result.episodes, values, strict=True
        )
    ]
    means = [_number(result.success_any.mean()), _number(result.success_final.mean())]
    rows.append(["mean", *means, f"{result.mean_return.mean():.1f}", str(sum(result.episodes))])
    return ["task", "any-step", "final-step", "return", "episodes"], rows


def _column(scores: Scores) -> SuccessColumn:
    generator = np.random.default_rng(BOOTSTRAP_SEED)
    return SuccessColumn(
        name=scores.name,
        seeds=len(scores.seeds),
        any_step=summarize(scores.any_step, generator=generator),
        final_step=summarize(scores.final_step, generator=generator),
        mean_return=np.mean([result.mean_return for result in scores.results], axis=0),
    )


def _csv_records(table: SuccessTable, column: SuccessColumn) -> Iterator[dict[str, object]]:
    kinds = {"success_any": column.any_step, "success_final": column.final_step}
    for i, task in enumerate(table.tasks):
        success = {kind: summary.per_task[i] for kind, summary in kinds.items()}
        yield {"task": task, "episodes": table.episodes[i], **success, "mean_return": column.mean_return[i]}
    means: dict[str, object] = {"task": "(mean)", "mean_return": column.mean_return.mean()}
    for kind, summary in kinds.items():
        means |= _estimated(kind, summary.mean)
    yield means
    iqms: dict[str, object] = {"task": "(iqm)"}
    for kind, summary in kinds.items():
        iqms |= _estimated(kind, summary.iqm)
    yield iqms


def _estimated(key: str, estimate: Estimate) -> dict[str, object]:
    interval = estimate.interval
    ends = {f"{key}_low": interval.low, f"{key}_high": interval.high} if interval else {}
    return {key: estimate.value, **ends}


def _number(value: float) -> str:
    return f"{value:.2f}"


def _interval(estimate: Estimate) -> str:
    end = estimate.interval
    return NOTHING if end is None else f"{end.low:.2f} to {end.high:.2f}"
