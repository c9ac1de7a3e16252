"""`mtrl report RUN [RUN ...] --out FOLDER`."""

import argparse
from pathlib import Path

from rich.console import Console

from mtrl.cli.one_line_parser import OneLineParser
from mtrl.cli.screen import Screen, print_plain, show_report, show_table, warn
from mtrl.report import write_report
from mtrl.report.legacy import bias_table, legacy_contents
from mtrl.report.published import PROTOCOLS, published_table
from mtrl.runs.files import replacing


def run(words: list[str]) -> int:
    """Write a report of runs and print its table."""
    parser = OneLineParser(
        "mtrl report", "Write a page with tables and plots of runs of one kind, and each of these as a file."
    )
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUN", help="a seed's folder, or a folder of seeds")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where to write")
    parser.add_argument("--latex", action="store_true", help="write each table as LaTeX, too, for its package booktabs")
    parser.add_argument("--published", choices=PROTOCOLS, help="print the published numbers under a protocol")
    parser.add_argument(
        "--explain-legacy",
        action="store_true",
        help="show by simulation what protocol legacy makes of a true success; no run is needed",
    )
    arguments: argparse.Namespace = parser.parse_args(words)
    console = Screen()
    if arguments.published:
        show_published(console, arguments.published)
    if arguments.explain_legacy:
        explain_legacy(console, arguments.out)
    if not arguments.runs and (arguments.published or arguments.explain_legacy):
        return 0
    if not arguments.runs or not arguments.out:
        parser.error("the following arguments are required: RUN, --out")
    show_report(console, write_report(arguments.runs, arguments.out, warn, with_latex=arguments.latex))
    return 0


def show_published(console: Console, protocol: str) -> None:
    """The published numbers under one protocol."""
    table = published_table(protocol)
    show_table(console, "Published MT10 numbers", (table.header, table.texts), *table.notes)


def explain_legacy(console: Console, out: Path | None) -> None:
    """Print the simulation; write it as Markdown, CSV, PNG and SVG if there is a folder to write to."""
    table = bias_table()
    show_table(console, table.title, (table.header, table.texts), *table.notes)
    if out is None:
        return
    out.mkdir(parents=True, exist_ok=True)
    for name, content in legacy_contents(table).items():
        with replacing(out / name) as file:
            file.write(content)
        print_plain(console, str(out / name))
