"""The report of supervised runs."""

from collections.abc import Sequence
from pathlib import Path

from mtrl.report.contents import LATEX, Contents, Shown, chapter, title_of
from mtrl.report.gradient_plots import gradient_blocks
from mtrl.report.metric_curves import delta_plot, metric_curves
from mtrl.report.metric_runs import read_metric_groups
from mtrl.report.metric_table import (
    methods_table,
    metric_rows,
    metric_table,
    metrics_csv,
    metrics_latex,
    metrics_markdown,
)
from mtrl.report.page import Block, Page
from mtrl.report.run_chapter import config_table, metric_runs_table, run_chapter
from mtrl.runs.reading import Warn


def metric_report(
    folders: Sequence[Path], out: Path, warnings: Sequence[str], warn: Warn
) -> tuple[list[Shown], Contents]:
    """What is shown on the screen, and what the files are made of; arguments as for `success_report`."""
    groups = read_metric_groups(folders, warn)
    table = metric_table(groups, warn)
    results: list[Block | None] = ["No run has an evaluation yet."]
    if table is not None:
        results = [delta_plot(table), methods_table(table)]
    runs = metric_runs_table(groups)
    chapters = [
        chapter("Metrics", results),
        chapter("Learning", [metric_curves(groups)]),
        chapter("What the gradients did", gradient_blocks(groups, "epochs")),
        run_chapter(runs, config_table(groups), [], out, ""),
    ]
    title = title_of([group.name for group in groups])
    whole = {
        "metrics.md": metrics_markdown(table, runs, warnings).encode(),
        "metrics.csv": metrics_csv(table).encode(),
    }
    if table is not None:
        whole[f"metrics{LATEX}"] = metrics_latex(table).encode()
    contents = Contents(Page(title, [each for each in chapters if each.blocks], warnings), whole)
    if table is None:
        return [], contents
    shown = f"Metrics, mean over seeds ({', '.join(f'{c.name}: {c.seeds}' for c in table.columns)})"
    return [Shown(shown, *metric_rows(table), f"{table.caption}\n{table.baseline.note}")], contents
