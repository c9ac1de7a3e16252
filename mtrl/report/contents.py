"""What a report is made of: files by name, the page among them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from mtrl.report.page import Block, Chapter, Folded, Page
from mtrl.report.plot import Plot
from mtrl.report.table import Table

PAGE = "index.html"
LATEX = ".tex"
"""The ending of those that are written on request."""
Contents = dict[str, bytes]


@dataclass(frozen=True)
class Shown:
    """The table as text, for the screen."""

    title: str
    header: list[str]
    rows: list[list[str]]
    caption: str


def title_of(names: Sequence[str]) -> str:
    """The page's, of what is on it."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{more}: results"


def files_of(page: Page, beside: Iterable[Table | Plot] = ()) -> Contents:
    """The page, and every table and plot in it or beside it as files of their own."""
    contents: Contents = {PAGE: page.html().encode()}
    for block in [*_inside([block for chapter in page.chapters for block in chapter.blocks]), *beside]:
        if isinstance(block, Table):
            contents |= {
                f"{block.name}.csv": block.csv().encode(),
                f"{block.name}.md": block.markdown().encode(),
                f"{block.name}{LATEX}": block.latex().encode(),
            }
        else:
            contents |= block.files()
    return contents


def renamed(blocks: Sequence[Block], suffix: str) -> list[Block]:
    """The same with other file names, where a report has several such chapters."""
    return [
        replace(block, name=f"{block.name}{suffix}")
        if isinstance(block, Table | Plot)
        else replace(block, blocks=renamed(block.blocks, suffix))
        if isinstance(block, Folded)
        else block
        for block in blocks
    ]


def chapter(title: str, blocks: Iterable[Block | None], suffix: str = "") -> Chapter:
    """A chapter of those blocks that are not None."""
    return Chapter(title, renamed([block for block in blocks if block is not None], suffix))


def _inside(blocks: Iterable[Block]) -> list[Table | Plot]:
    found: list[Table | Plot] = []
    for block in blocks:
        if isinstance(block, Table | Plot):
            found.append(block)
        elif isinstance(block, Folded):
            found += _inside(block.blocks)
    return found
