"""`mtrl report RUN [RUN ...] --out FOLDER`."""

import argparse
from pathlib import Path

from rich.console import Console

from mtrl.cli.one_line_parser import OneLineParser
from mtrl.cli.success import show_report, warn
from mtrl.report import write_report


def run(words: list[str]) -> int:
    """Write a report of runs and print its table."""
    parser = OneLineParser("mtrl report", "Write a table (Markdown, CSV) and learning curves of runs of one kind.")
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="a seed's folder, or a folder of seeds")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where to write")
    arguments: argparse.Namespace = parser.parse_args(words)
    show_report(Console(), write_report(arguments.runs, arguments.out, warn))
    return 0
