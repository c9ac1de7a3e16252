"""The success table: per task any-step and final-step success of every group, mean over its seeds.

The same table is written as Markdown for people and as CSV, one value set a line, for programs.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtrl.report.groups import Group
from mtrl.report.markdown import NOTHING, commit_text, markdown
from mtrl.report.runs import Evaluation, Record
from mtrl.statistics import MIN_RUNS_FOR_INTERVAL, Summary, summarize

_BOOTSTRAP_SEED = 0  # the same runs give the same interval, always
_SUCCESS_FIELDS = tuple(f"success_{kind}{end}" for kind in ("any", "final") for end in ("", "_low", "_high"))
_CSV_FIELDS = ("run", "seeds", "task", "episodes", *_SUCCESS_FIELDS, "mean_return")


@dataclass(frozen=True)
class Column:
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
    columns: tuple[Column, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """Why a group has no interval."""
        return tuple(
            f"{column.name}: {column.seeds} seed{'s' if column.seeds > 1 else ''}, so no IQM and no "
            f"interval; at least {MIN_RUNS_FOR_INTERVAL} seeds are needed to speak of others."
            for column in self.columns
            if column.any_step.interval is None
        )


def success_table(groups: Iterable[Group]) -> SuccessTable | None:
    """The table of all groups with an evaluation, None if there is none.

    Tasks, protocol and simulator must be the same throughout, as `read_groups` sees to.
    """
    evaluated = [group for group in groups if group.results]
    if not evaluated:
        return None
    first = evaluated[0].results[0]
    columns = tuple(_column(group.name, group.results) for group in evaluated)
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
    rows.append(["mean", *(_number(s.mean) for s in summaries)])
    if any(s.interval for s in summaries):
        rows.append(["IQM", *(_number(s.iqm) for s in summaries)])
        rows.append(["95% interval of the mean", *(_interval(s) for s in summaries)])
    return header, rows


def success_markdown(table: SuccessTable | None, groups: Sequence[Group], warnings: Sequence[str]) -> str:
    """`success.md`: the table, how it was made, the runs behind it, and what was left out."""
    parts = ["# Success"]
    if table is None:
        parts.append("No run has an evaluation yet.")
    else:
        header, rows = header_and_rows(table)
        parts += [markdown(header, rows), table.caption]
        parts.append(
            "Any-step: success at some step of the episode; final-step: at its last step. Mean over seeds. "
            "Interval: percentile bootstrap over seeds, stratified by task."
        )
        parts += table.notes
    parts += ["## Runs", markdown(*_runs(groups))]
    if warnings:
        parts += ["## Left out", "\n".join(f"- {warning}" for warning in warnings)]
    return "\n\n".join(parts) + "\n"


def success_csv(table: SuccessTable | None) -> str:
    """`success.csv`: a line per group and task, then mean and IQM; empty cells where there is no value."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _CSV_FIELDS, restval="", lineterminator="\n")
    writer.writeheader()
    if table is not None:
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


def _column(name: str, results: Sequence[Evaluation]) -> Column:
    generator = np.random.default_rng(_BOOTSTRAP_SEED)
    return Column(
        name=name,
        seeds=len(results),
        any_step=summarize([result.success_any for result in results], generator=generator),
        final_step=summarize([result.success_final for result in results], generator=generator),
        mean_return=np.mean([result.mean_return for result in results], axis=0),
    )


def _csv_records(table: SuccessTable, column: Column) -> Iterator[dict[str, object]]:
    kinds = {"success_any": column.any_step, "success_final": column.final_step}
    for i, task in enumerate(table.tasks):
        success = {kind: summary.per_task[i] for kind, summary in kinds.items()}
        yield {"task": task, "episodes": table.episodes[i], **success, "mean_return": column.mean_return[i]}
    means: dict[str, object] = {"task": "(mean)", "mean_return": column.mean_return.mean()}
    for kind, summary in kinds.items():
        means[kind] = summary.mean
        if summary.interval:
            means |= {f"{kind}_low": summary.interval.low, f"{kind}_high": summary.interval.high}
    yield means
    if column.any_step.iqm is not None:
        yield {"task": "(iqm)"} | {kind: summary.iqm for kind, summary in kinds.items()}


def _runs(groups: Iterable[Group]) -> tuple[list[str], list[list[str]]]:
    """What each run is and what it took."""
    rows = [
        [
            run.name,
            str(run.seed),
            f"{run.steps:,}",
            f"{run.updates:,}",
            f"{run.wall_s / 60:.1f}",
            run.backend,
            f"{run.device}, {run.hardware}",
            commit_text(run.git_commit),
        ]
        for group in groups
        for run in group.runs
    ]
    return ["run", "seed", "steps", "updates", "minutes", "trained on", "hardware", "commit"], rows


def _number(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.2f}"


def _interval(summary: Summary) -> str:
    end = summary.interval
    return NOTHING if end is None else f"{end.low:.2f} to {end.high:.2f}"
