"""A table with typed cells: one source of what is shown as Markdown and HTML, and written as CSV."""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mtrl.report.latex import latex
from mtrl.statistics import Interval

NOTHING = "–"
THEN = " then "
"""Between the values of a run that was resumed with others."""


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, padded so that it is as legible in a terminal; the first column is text."""
    lines = [header, *rows]
    widths = [max(3, *(len(line[i]) for line in lines)) for i in range(len(header))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]

    def line(cells: Sequence[str]) -> str:
        padded = [cells[0].ljust(widths[0])]
        padded += [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
        return "| " + " | ".join(padded) + " |"

    return "\n".join([line(header), line(rule), *(line(row) for row in rows)])


def commit_text(name: str | None) -> str:
    """Short, but still with the mark of a tree that was not clean; each, if a run was resumed with others."""
    parts = [one.partition("+") for one in (name or NOTHING).split(THEN)]
    return THEN.join(commit[:10] + plus + changes for commit, plus, changes in parts)


Cell = str | int | float | Interval | None


def rate(value: Cell) -> str:
    """A share or a probability as text, with two decimals."""
    return f"{value:.2f}"


def signed(value: Cell) -> str:
    """A difference as text, with its sign."""
    return f"{value:+.2f}"


def count(value: Cell) -> str:
    """A whole number as text, with its thousands apart."""
    return f"{value:,}"


def number(value: Cell) -> str:
    """A number of any size as text, with three digits."""
    return f"{value:.3g}"


def shown(cell: Cell, text: Callable[[Cell], str]) -> str:
    """A cell as people read it, by what writes a value, or each end of an interval."""
    if cell is None:
        return NOTHING
    if isinstance(cell, Interval):
        return f"{text(cell.low)} to {text(cell.high)}"
    return text(cell)


@dataclass(frozen=True)
class Column:
    """A column: its names in the CSV and for people, and how its cells are written."""

    key: str
    """In the CSV; an interval has `<key>_low` and `<key>_high`."""
    title: str
    text: Callable[[Cell], str] = str
    """How a cell is written for people; the ends of an interval each."""
    is_interval: bool = False
    is_shaded: bool = False
    """The page colours its cells by their value in [0, 1]."""
    is_on_page: bool = True
    """The page says elsewhere what is the same in all rows."""


@dataclass(frozen=True)
class Table:
    """Rows of cells; None is a value that there is not."""

    name: str
    """Of its files."""
    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str] = field(default=())

    @property
    def header(self) -> list[str]:
        """The titles of the columns."""
        return [column.title for column in self.columns]

    @property
    def texts(self) -> list[list[str]]:
        """The cells as people read them."""
        return [[shown(cell, column.text) for cell, column in zip(row, self.columns, strict=True)] for row in self.rows]

    def markdown(self) -> str:
        """The table as Markdown, with its title and notes."""
        return "\n\n".join([f"# {self.title}", markdown(self.header, self.texts), *self.notes]) + "\n"

    def latex(self) -> str:
        """The table as LaTeX, with its title and notes as the caption."""
        return latex(self.name, self.title, self.header, self.texts, self.notes)

    def csv(self) -> str:
        """Values in full; empty cells where there is none."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        keys = ([f"{c.key}_low", f"{c.key}_high"] if c.is_interval else [c.key] for c in self.columns)
        writer.writerow([key for of_column in keys for key in of_column])
        for row in self.rows:
            cells = (_values(cell, column) for cell, column in zip(row, self.columns, strict=True))
            writer.writerow([value for of_cell in cells for value in of_cell])
        return text.getvalue()


def text_table(
    title: str, header: Sequence[str], rows: Sequence[Sequence[str]], name: str = "", notes: Sequence[str] = ()
) -> Table:
    """A table whose cells are text."""
    return Table(name, title, [Column(one, one) for one in header], rows, notes)


def _values(cell: Cell, column: Column) -> list[Cell]:
    if isinstance(cell, Interval):
        return [cell.low, cell.high]
    missing: Cell = "" if cell is None else cell
    return [missing, missing] if column.is_interval else [missing]
