"""Runs in; a success table and learning curves out."""

from mtrl.report.runs import Evaluation, ReportError, find_runs, parse_evaluation, read_evaluation
from mtrl.report.tables import SuccessTable, caption, evaluation_rows, header_and_rows, markdown
from mtrl.report.write import Report, write_report

__all__ = [
    "Evaluation",
    "Report",
    "ReportError",
    "SuccessTable",
    "caption",
    "evaluation_rows",
    "find_runs",
    "header_and_rows",
    "markdown",
    "parse_evaluation",
    "read_evaluation",
    "write_report",
]
