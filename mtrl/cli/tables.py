"""Tables on the screen: drawn on a terminal, plain Markdown otherwise."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from mtrl.report import markdown

Rows = tuple[Sequence[str], Sequence[Sequence[str]]]


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
