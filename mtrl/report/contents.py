"""What a report is made of: files by name, the page among them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from mtrl.report.page import Block, Chapter, Folded, Page
from mtrl.report.plot import Plot
from mtrl.report.table import Table

PAGE = "index.html"
LATEX = ".tex"
"""The ending of those that are written on request."""
Files = dict[str, bytes]
"""By name."""


@dataclass(frozen=True)
class Shown:
    """A table as text, for the screen."""

    title: str
    header: list[str]
    rows: list[list[str]]
    caption: str


def title_of(names: Sequence[str]) -> str:
    """The page's, of what is on it."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{more}: results"


@dataclass(frozen=True)
class Contents:
    """What a report is made of. Nothing is drawn before its files are asked for."""

    page: Page
    whole: Files
    """With the tables of all chapters."""
    beside: Sequence[Plot] = ()
    """Plots that are not on the page."""

    def files(self) -> Files:
        """The page, every table and plot in it or beside it as files of their own, and the whole tables."""
        found: Files = {PAGE: self.page.html().encode()}
        for block in self._blocks():
            found |= _table_files(block) if isinstance(block, Table) else block.files()
        return found | self.whole

    def tables(self) -> Files:
        """The files of the tables alone."""
        found: Files = {}
        for block in self._blocks():
            if isinstance(block, Table):
                found |= _table_files(block)
        return found | self.whole

    def _blocks(self) -> Iterator[Table | Plot]:
        yield from _inside([block for chapter in self.page.chapters for block in chapter.blocks])
        yield from self.beside


def _table_files(table: Table) -> Files:
    return {
        f"{table.name}.csv": table.csv().encode(),
        f"{table.name}.md": table.markdown().encode(),
        f"{table.name}{LATEX}": table.latex().encode(),
    }


def renamed(blocks: Sequence[Block], suffix: str) -> list[Block]:
    """Blocks whose files have a suffix in their names, where a report has several chapters of the kind."""
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
