"""`mtrl report RUN [RUN ...] --out FOLDER`."""

import argparse
from pathlib import Path

from rich.console import Console

from mtrl.cli.old_tables import explain_legacy, show_published
from mtrl.cli.one_line_parser import OneLineParser
from mtrl.cli.success import show_report, warn
from mtrl.report import write_report
from mtrl.report.published import PROTOCOLS


def run(words: list[str]) -> int:
    """Write a report of runs and print its table."""
    parser = OneLineParser(
        "mtrl report", "Write a page with tables and plots of runs of one kind, and each of these as a file."
    )
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUN", help="a seed's folder, or a folder of seeds")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where to write")
    parser.add_argument("--published", choices=PROTOCOLS, help="print the published numbers under a protocol")
    parser.add_argument(
        "--explain-legacy",
        action="store_true",
        help="show by simulation what protocol legacy makes of a true success; no run is needed",
    )
    arguments: argparse.Namespace = parser.parse_args(words)
    console = Console()
    if arguments.published:
        show_published(console, arguments.published)
    if arguments.explain_legacy:
        explain_legacy(console, arguments.out)
    if not arguments.runs and (arguments.published or arguments.explain_legacy):
        return 0
    if not arguments.runs or not arguments.out:
        parser.error("the following arguments are required: RUN, --out")
    show_report(console, write_report(arguments.runs, arguments.out, warn))
    return 0
