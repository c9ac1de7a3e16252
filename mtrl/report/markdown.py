"""Markdown tables, and how cells are written in all of them."""

from collections.abc import Sequence

NOTHING = "–"


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
    """Short, but still with the mark of a tree that was not clean."""
    commit, plus, changes = (name or NOTHING).partition("+")
    return commit[:10] + plus + changes
