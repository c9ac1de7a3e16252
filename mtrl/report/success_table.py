"""The success table: per task any-step and final-step success of every group, mean over its seeds.

The same table is written as Markdown for people and as CSV, one value set a line, for programs.
"""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtrl.report.latex import latex
from mtrl.report.measure import SUCCESS, Measure
from mtrl.report.parts import Division, Scores
from mtrl.report.success_runs import Evaluation
from mtrl.report.table import NOTHING, Cell, Table, markdown
from mtrl.runs.reading import Record
from mtrl.statistics import MIN_RUNS_FOR_INTERVAL, Estimate, Summary, summarize

BOOTSTRAP_SEED = 0  # the same runs give the same interval, always
_HOW_TO_READ = (
    "Mean over seeds. IQM: mean of the middle half of all seeds and tasks. Interval: 95% percentile bootstrap over "
    "seeds, drawn with all their tasks; with few seeds it covers less than it says."
)
_LABELS = {
    "success_any": "any-step",
    "success_final": "final-step",
    "success_any_unseen": "any-step, unseen goals",
}
"""Of the columns of success, by their names in the CSV."""
_UNSEEN = "Unseen goals: as many episodes, on goals that training never saw."


def how_to_read(measure: Measure) -> str:
    """What the numbers of a table are."""
    return f"{measure.how} {_HOW_TO_READ}"


@dataclass(frozen=True)
class SuccessColumn:
    """Success, or returns, of one group over its `R` evaluated seeds."""

    name: str
    seeds: int
    score: Summary
    """Any-step success, or what else is measured."""
    final_step: Summary | None
    """Of success alone."""
    unseen: Summary | None
    """Any-step success on goals that training never saw, where every seed was played on such."""
    seeds_unseen: int
    """That were played on such."""
    mean_return: NDArray[np.float64]
    """`[T]`."""


@dataclass(frozen=True)
class SuccessTable:
    """What `success.md` and `success.csv` hold, or `returns.md` and `returns.csv`."""

    measure: Measure

    tasks: tuple[str, ...]
    episodes: tuple[int, ...]
    """Per task and seed."""
    caption: str
    columns: tuple[SuccessColumn, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """What unseen goals are, and why a group has none of them or no interval."""
        unseen = [_UNSEEN] if any(column.unseen for column in self.columns) else []
        partly = [column for column in self.columns if 0 < column.seeds_unseen < column.seeds]
        lacking = (f"{c.name}: only {c.seeds_unseen} of {c.seeds} seeds were played on unseen goals." for c in partly)
        return (*unseen, *lacking, *no_interval({column.name: column.seeds for column in self.columns}))


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
    return SuccessTable(
        division.measure, first.tasks, first.episodes, caption(first.protocol, first.simulator), columns
    )


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
    """The table as text cells: a group's column, or some of success, the tasks, then mean, IQM and interval."""
    header, summaries, text = ["task"], [], table.measure.text
    for column in table.columns:
        for key, summary in _kinds(column, table.measure).items():
            header.append(f"{column.name} {_LABELS.get(key, table.measure.name)}")
            summaries.append(summary)
    rows = [[task, *(text(float(s.per_task[i])) for s in summaries)] for i, task in enumerate(table.tasks)]
    rows.append(["mean", *(text(s.mean.value) for s in summaries)])
    rows.append(["IQM", *(text(s.iqm.value) for s in summaries)])
    if any(s.iqm.interval for s in summaries):
        rows.append(["95% interval of the mean", *(_interval(s.mean, text) for s in summaries)])
        rows.append(["95% interval of the IQM", *(_interval(s.iqm, text) for s in summaries)])
    return header, rows


def success_markdown(tables: Sequence[SuccessTable], runs: Table, warnings: Sequence[str]) -> str:
    """`success.md`: each table and how it was made, the runs behind them, and what was left out or stands apart."""
    titles = dict.fromkeys(table.measure.title for table in tables)
    parts = [f"# {' and '.join(titles).capitalize() or 'Results'}"]
    if not tables:
        parts.append("No run has an evaluation yet.")
    for table in tables:
        parts += [markdown(*header_and_rows(table)), table.caption, how_to_read(table.measure), *table.notes]
    parts += ["## Runs", markdown(runs.header, runs.texts)]
    if warnings:
        parts += ["## Left out, or apart", "\n".join(f"- {warning}" for warning in warnings)]
    return "\n\n".join(parts) + "\n"


def success_latex(name: str, table: SuccessTable) -> str:
    """`success.tex`: the same as LaTeX."""
    return latex(
        name, table.measure.title, *header_and_rows(table), [table.caption, how_to_read(table.measure), *table.notes]
    )


def success_csv(table: SuccessTable) -> str:
    """`success.csv`: a line per group and task, then mean and IQM; empty cells where there is no value."""
    text = io.StringIO()
    known = dict.fromkeys(kind for column in table.columns for kind in _kinds(column, table.measure))
    kinds = [f"{kind}{end}" for kind in known for end in ("", "_low", "_high")]
    names = dict.fromkeys(("run", "seeds", "task", "episodes", *kinds, "mean_return"))
    writer = csv.DictWriter(text, list(names), restval="", lineterminator="\n")
    writer.writeheader()
    for column in table.columns:
        own = {"run": column.name, "seeds": column.seeds}
        writer.writerows(own | record for record in _csv_records(table, column))
    return text.getvalue()


def evaluation_rows(result: Evaluation) -> tuple[list[str], list[list[str]]]:
    """One evaluation as text cells: a row per task and the mean, over the tasks that have what a column says."""
    columns: dict[str, tuple[NDArray[np.float64], Callable[[float], str]]] = {
        _LABELS["success_any"]: (result.success_any, _number),
        _LABELS["success_final"]: (result.success_final, _number),
        _LABELS["success_any_unseen"]: (result.unseen_any, _number),
        "normalized return": (result.normalized_return, _number),
        "return": (result.mean_return, "{:.1f}".format),
    }
    shown = {name: (values, form) for name, (values, form) in columns.items() if not np.isnan(values).all()}
    rows = [
        [task, *(NOTHING if np.isnan(values[t]) else form(values[t]) for values, form in shown.values()), str(episodes)]
        for t, (task, episodes) in enumerate(zip(result.tasks, result.episodes, strict=True))
    ]
    means = [form(float(np.nanmean(values))) for values, form in shown.values()]
    rows.append(["mean", *means, str(sum(result.episodes))])
    return ["task", *shown, "episodes"], rows


def _column(scores: Scores) -> SuccessColumn:
    generator = np.random.default_rng(BOOTSTRAP_SEED)
    was_played = ~np.isnan(scores.unseen).any(axis=1)
    return SuccessColumn(
        name=scores.name,
        seeds=len(scores.seeds),
        score=summarize(scores.score, generator=generator),
        final_step=summarize(scores.final_step, generator=generator) if scores.measure == SUCCESS else None,
        unseen=summarize(scores.unseen, generator=generator) if was_played.all() else None,
        seeds_unseen=int(was_played.sum()),
        mean_return=np.mean([result.mean_return for result in scores.results], axis=0),
    )


def _csv_records(table: SuccessTable, column: SuccessColumn) -> Iterator[dict[str, object]]:
    kinds = _kinds(column, table.measure)
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


def _kinds(column: SuccessColumn, measure: Measure) -> dict[str, Summary]:
    """The summaries, by their names in the CSV."""
    kinds: dict[str, Summary] = {measure.key: column.score}
    if column.final_step:
        kinds["success_final"] = column.final_step
    if column.unseen:
        kinds["success_any_unseen"] = column.unseen
    return kinds


def _estimated(key: str, estimate: Estimate) -> dict[str, object]:
    interval = estimate.interval
    ends = {f"{key}_low": interval.low, f"{key}_high": interval.high} if interval else {}
    return {key: estimate.value, **ends}


def _number(value: float) -> str:
    return f"{value:.2f}"


def _interval(estimate: Estimate, text: Callable[[Cell], str]) -> str:
    end = estimate.interval
    return NOTHING if end is None else f"{text(end.low)} to {text(end.high)}"
