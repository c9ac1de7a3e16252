"""Success tables and warnings on the screen."""

import sys
from pathlib import Path

from rich.console import Console

from mtrl.cli.tables import print_plain, show_table
from mtrl.report import Report, evaluation_rows, parse_evaluation
from mtrl.report.tables import caption
from mtrl.runs.reading import Record


def warn(line: str) -> None:
    """Print a warning apart from the output."""
    print(f"warning: {line}", file=sys.stderr)


def show_evaluation(console: Console, folder: Path, record: Record) -> None:
    """The per-task table of one evaluated checkpoint."""
    result = parse_evaluation(record)
    title = f"{folder}: checkpoint of step {result.step:,}"
    show_table(console, title, evaluation_rows(result), caption(result.protocol, result.simulator))


def show_report(console: Console, report: Report) -> None:
    """The table of a report, and where it is."""
    if report.table is None:
        print_plain(console, "No run has an evaluation yet.")
    else:
        table = report.table
        show_table(console, table.title, (table.header, table.rows), table.caption)
    page, *others = report.files
    print_plain(console, f"\nReport: {page}, and its tables and plots as {len(others)} files beside it")
