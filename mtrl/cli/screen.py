"""What the commands print: tables, warnings, evaluations, reports, times."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from mtrl.cli.streams import is_unread, silence, tell
from mtrl.report import evaluation_rows, markdown, parse_evaluation
from mtrl.report.success_table import caption
from mtrl.runs.reading import Record

if TYPE_CHECKING:
    from mtrl.report import Report

Rows = tuple[Sequence[str], Sequence[Sequence[str]]]


class Screen(Console):
    """Where a command prints; once nobody reads it any more, it is silent, and the command goes on."""

    def on_broken_pipe(self) -> None:
        """In place of rich's, which ends the process."""
        self.quiet = True
        silence(self.file)

    def _check_buffer(self) -> None:
        """As rich does, which knows of pipes alone: a terminal that was closed is none."""
        try:
            super()._check_buffer()
        except OSError as error:
            if not is_unread(error):
                raise
            self.on_broken_pipe()


def show_table(console: Console, title: str, rows: Rows, caption: str) -> None:
    """Print a table of text cells; the first column is text, the others are numbers."""
    header, body = rows
    if not console.is_terminal:
        print_plain(console, f"\n{title}\n\n{markdown(header, body)}\n\n{caption}")
        return
    table = Table(title=title, title_justify="left", title_style="bold")
    for i, name in enumerate(header):
        table.add_column(name, justify="right" if i else "left")
    for row in body:
        if row[0] == "mean":
            table.add_section()
        table.add_row(*row)
    console.print(table)
    console.print(caption, style="dim", highlight=False, markup=False)


def print_plain(console: Console, text: str) -> None:
    """Print `text` as it is: no colour, no wrapping, no markup."""
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def warn(line: str) -> None:
    """Print a warning apart from the output."""
    tell(f"warning: {line}", sys.stderr)


def show_evaluation(console: Console, folder: Path, record: Record) -> None:
    """The per-task table of one evaluated checkpoint."""
    result = parse_evaluation(record)
    title = f"{folder}: checkpoint of step {result.step:,}"
    show_table(console, title, evaluation_rows(result), caption(result.protocol, result.simulator))


def show_report(console: Console, report: "Report") -> None:
    """The tables of a report, and where it is."""
    if not report.tables:
        print_plain(console, "No run has an evaluation yet.")
    for table in report.tables:
        show_table(console, table.title, (table.header, table.rows), table.caption)
    page, *others = report.files
    print_plain(console, f"\nReport: {page}, and its tables and plots as {len(others)} files beside it")


def duration(seconds: float) -> str:
    """Hours, minutes and seconds, as `1:02:03` or `2:03`."""
    minutes, second = divmod(round(max(0.0, seconds)), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def rate(per_s: float, unit: str) -> str:
    """Steps or epochs a second, or a minute where that says more."""
    return f"{per_s:,.0f} {unit}/s" if per_s >= 10 else f"{60 * per_s:.3g} {unit}/min"
