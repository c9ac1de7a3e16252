"""The report of reinforcement learning runs."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from mtrl.protocols import BIAS, LEGACY
from mtrl.report.comparisons import by_task, headline, improvement, learning, pairs, pairs_of_areas
from mtrl.report.contents import LATEX, Contents, Shown, chapter, title_of
from mtrl.report.curves import learning_plots
from mtrl.report.gradient_plots import gradient_blocks
from mtrl.report.gradients import time_table
from mtrl.report.measure import SUCCESS
from mtrl.report.page import Block, Chapter, Folded, Page
from mtrl.report.parts import Division, Part, read_parts
from mtrl.report.plot import Plot
from mtrl.report.published import PROTOCOLS, published_table
from mtrl.report.run_chapter import config_table, run_chapter, runs_table
from mtrl.report.success_plots import headline_plot, heat_map, profile_plot
from mtrl.report.success_table import (
    SuccessTable,
    header_and_rows,
    success_csv,
    success_latex,
    success_markdown,
    success_table,
)
from mtrl.report.table import Table
from mtrl.runs.reading import Warn

_APART = "Numbers under different protocols or simulators are not comparable: each has tables of its own."


def success_report(
    folders: Sequence[Path], out: Path, warnings: Sequence[str], warn: Warn
) -> tuple[list[Shown], Contents]:
    """What is shown on the screen, a table for each measure and set of tasks, and what the files are made of.

    Args:
        folders: of the seeds.
        out: the report's folder, that links start from.
        warnings: all lines given to `warn` so far and from now on.
        warn: is given a line for everything left out, or apart.
    """
    parts = read_parts(folders, warn)
    chapters: list[Chapter] = []
    whole: dict[str, bytes] = {}
    beside: list[Plot] = []
    tables: list[SuccessTable] = []
    shown: list[Shown] = []
    for p, part in enumerate(parts):
        suffix = f"-tasks{p + 1}" if p else ""
        title = part.measure.title
        first, count = part.tasks[0], len(part.tasks)
        which = first if count == 1 else f"{count} tasks, the first {first}"
        where = f" ({which})" if len(parts) > 1 else ""
        for s, division in enumerate(part.divisions):
            own = f"{suffix}-{division.reference.protocol['name']}{s + 1}" if s else suffix
            protocol = f", protocol {division.reference.protocol['name']}" if len(part.divisions) > 1 else ""
            table, shaded = success_table(division), _shaded(division)
            chapters.append(chapter(f"{title}{protocol}{where}", _success(division, part, table, shaded), own))
            beside += [heat_map(each, own) for each in shaded if each.columns[-1].is_shaded]
            whole[f"{part.measure.file}{own}.csv"] = success_csv(table).encode()
            whole[f"{part.measure.file}{own}{LATEX}"] = success_latex(f"{part.measure.file}{own}", table).encode()
            tables.append(table)
            if not s:
                seeds = ", ".join(f"{column.name}: {column.seeds}" for column in table.columns)
                notes = "\n".join([table.caption, *table.notes])
                shown.append(Shown(f"{title}{where}, mean over seeds ({seeds})", *header_and_rows(table), notes))
        if not part.divisions:
            chapters.append(chapter(f"{title}{where}", ["No run has an evaluation yet."]))
        chapters += _training(part, where, suffix)
        if not part.is_first:
            continue
        runs, config = runs_table(part.groups), config_table(part.groups)
        videos = [video for group in part.groups for run in group.runs for video in run.outcome.videos]
        chapters.append(run_chapter(runs, config, videos, out, suffix))
    names = list(dict.fromkeys(group.name for part in parts for group in part.groups))
    runs = runs_table([group for part in parts if part.is_first for group in part.groups])
    first_file = parts[0].measure.file
    whole[f"{first_file}.md"] = success_markdown(tables, runs, warnings).encode()
    return shown, Contents(Page(title_of(names), chapters, warnings), whole, beside)


def _success(division: Division, part: Part, table: SuccessTable, shaded: Sequence[Table]) -> Iterator[Block]:
    """The chapter of one protocol."""
    protocol = division.reference.protocol["name"]
    if len(part.divisions) > 1:
        yield _APART
    if protocol == LEGACY:
        yield f"Protocol legacy: {BIAS}."
    yield headline_plot(table)
    yield headline(table)
    yield from shaded
    if division.measure == SUCCESS:
        yield profile_plot(division)
    if len(division.scores) > 1:
        yield Folded("Two methods at a time, paired over seeds", [pairs(division)])
    config = part.groups[0].runs[0].config
    if protocol in PROTOCOLS and config["env"].get("tasks") == "MT10" and (published := published_table(protocol)).rows:
        yield Folded(f"Published numbers, protocol {protocol}", [published])


def _shaded(division: Division) -> list[Table]:
    """Tables that are heat maps too, where they hold shares."""
    measure = division.measure
    if measure == SUCCESS:
        of_tasks = [
            by_task(division, "tasks_any_step", "Any-step success by task", lambda scores: scores.score),
            by_task(division, "tasks_final_step", "Final-step success by task", lambda scores: scores.final_step),
        ]
    else:
        of_tasks = [by_task(division, "tasks", f"{measure.name.capitalize()} by task", lambda scores: scores.score)]
    return [
        *of_tasks,
        *([improvement(division)] if len(division.scores) > 1 else []),
    ]


def _training(part: Part, where: str, suffix: str) -> Iterator[Chapter]:
    """The chapters on learning and on gradients."""
    plots: list[Block] = [*learning_plots(part)]
    if len(part.tasks) > 1:
        plots[-1] = Folded(f"{part.measure.name.capitalize()} of each task against wall time", plots[-1:])
    areas = "Two methods at a time, paired over seeds: area under the curve"
    paired = [Folded(areas, [pairs_of_areas(part)])] if len(part.groups) > 1 else []
    yield chapter(f"Learning{where}", [*plots, learning(part), *paired], suffix)
    if not part.is_first:
        return
    blocks = [*gradient_blocks(part.groups, "environment steps"), time_table(part.groups)]
    if any(blocks):
        yield chapter(f"What the gradients did{where}", blocks, suffix)
