"""Published numbers on the screen, and why those of the old protocol are too high."""

from pathlib import Path

from rich.console import Console

from mtrl.cli.tables import print_plain, show_table
from mtrl.report.legacy import TITLE, bias_table, explanation, legacy_contents
from mtrl.report.published import published_caption, published_rows, published_table
from mtrl.runs.files import replacing


def show_published(console: Console, protocol: str) -> None:
    """The published numbers under one protocol."""
    show_table(
        console, "Published MT10 numbers", published_table(published_rows(protocol)), published_caption(protocol)
    )


def explain_legacy(console: Console, out: Path | None) -> None:
    """Print the simulation; write it as Markdown, CSV, PNG and SVG if there is a folder to write to."""
    show_table(console, TITLE, bias_table(), explanation())
    if out is None:
        return
    out.mkdir(parents=True, exist_ok=True)
    for name, content in legacy_contents().items():
        with replacing(out / name) as file:
            file.write(content)
        print_plain(console, str(out / name))
