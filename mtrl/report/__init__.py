"""Runs in; one page, with its tables and plots as files, out."""

from mtrl.report.contents import Shown
from mtrl.report.success_runs import Evaluation, parse_evaluation, read_evaluation
from mtrl.report.success_table import caption, evaluation_rows
from mtrl.report.table import markdown
from mtrl.report.write import Report, write_report

__all__ = [
    "Evaluation",
    "Report",
    "Shown",
    "caption",
    "evaluation_rows",
    "markdown",
    "parse_evaluation",
    "read_evaluation",
    "write_report",
]
