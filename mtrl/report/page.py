"""The page: one file of HTML that needs nothing else."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from importlib import resources

from mtrl.report.palette import DARK, DASHES, GRID, INK, variable
from mtrl.report.plot import Plot, Series
from mtrl.report.table import Cell, Table

# A closed part is not printed: open all of them first.
_SCRIPT = 'addEventListener("beforeprint",()=>document.querySelectorAll("details").forEach(d=>d.open=true))'


@dataclass(frozen=True)
class Facts:
    """Names and values that hold for all runs of a chapter."""

    title: str
    values: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Links:
    """Files beside the page."""

    title: str
    targets: Sequence[tuple[str, str]]
    """Text and relative address."""


@dataclass(frozen=True)
class Folded:
    """Blocks that are shown on request."""

    title: str
    blocks: Sequence["Block"]


Block = str | Table | Plot | Facts | Links | Folded
"""A string is a paragraph."""


@dataclass(frozen=True)
class Chapter:
    """What stands under one heading."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Page:
    """A report as one page of HTML: a title, chapters, and what was left out."""

    title: str
    chapters: Sequence[Chapter]
    warnings: Sequence[str] = field(default=())

    def html(self) -> str:
        """The content of the file."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        title = escape(self.title)
        yield '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
        yield '<meta name="viewport" content="width=device-width, initial-scale=1">\n<link rel="icon" href="data:,">'
        yield f"<title>{title}</title>\n<style>\n{_style()}</style>\n<script>{_SCRIPT}</script>\n</head>\n<body>"
        yield f"<header>\n<h1>{title}</h1>\n<nav>"
        for number, chapter in enumerate(self.chapters):
            yield f'<a href="#chapter-{number}">{escape(chapter.title)}</a>'
        yield "</nav>\n</header>\n<main>"
        if self.warnings:
            lines = "\n".join(f"<li>{escape(line)}</li>" for line in self.warnings)
            yield f'<div class="warnings" role="note"><strong>Left out, or apart</strong>\n<ul>\n{lines}\n</ul></div>'
        for number, chapter in enumerate(self.chapters):
            yield f'<section id="chapter-{number}">\n<h2>{escape(chapter.title)}</h2>'
            for block in chapter.blocks:
                yield from _block(block)
            yield "</section>"
        yield "</main>\n</body>\n</html>"


def _style() -> str:
    light = "".join(f"{variable(colour)}: {colour}; " for colour in DARK)
    dark = "".join(f"{variable(colour)}: {value}; " for colour, value in DARK.items())
    own = (resources.files("mtrl.report") / "page.css").read_text(encoding="utf-8")
    return f":root {{ {light}}}\n@media screen and (prefers-color-scheme: dark) {{ :root {{ {dark}}} }}\n{own}"


def _block(block: Block) -> Iterator[str]:
    match block:
        case str():
            yield f"<p>{escape(block)}</p>"
        case Table():
            yield from _table(block)
        case Plot():
            yield from _figure(block)
        case Facts():
            yield f"<h3>{escape(block.title)}</h3>\n<dl>"
            yield from (f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in block.values)
            yield "</dl>"
        case Links():
            yield f"<h3>{escape(block.title)}</h3>\n<ul>"
            yield from (f'<li><a href="{escape(to)}">{escape(text)}</a></li>' for text, to in block.targets)
            yield "</ul>"
        case Folded():
            yield f"<details>\n<summary>{escape(block.title)}</summary>"
            for inner in block.blocks:
                yield from _block(inner)
            yield "</details>"


def _table(table: Table) -> Iterator[str]:
    yield f'<h3>{escape(table.title)}</h3>\n<div class="scroll" tabindex="0">'
    yield f'<table id="{escape(table.name)}">\n<thead><tr>'
    shown = [column for column in table.columns if column.is_on_page]
    yield "".join(f'<th scope="col">{escape(column.title)}</th>' for column in shown) + "</tr></thead>\n<tbody>"
    for row, texts in zip(table.rows, table.texts, strict=True):
        cells = [(c, t, column) for c, t, column in zip(row, texts, table.columns, strict=True) if column.is_on_page]
        yield f"<tr>{''.join(_cell(cell, text, column.is_shaded) for cell, text, column in cells)}</tr>"
    yield "</tbody>\n</table>\n</div>"
    yield from (f'<p class="note">{escape(note)}</p>' for note in table.notes)
    yield f'<p class="note">As <a href="{table.name}.csv">CSV</a>, <a href="{table.name}.md">Markdown</a>.</p>'


def _cell(cell: Cell, text: str, is_shaded: bool) -> str:
    if is_shaded and isinstance(cell, float):
        return f'<td class="shade" style="--v:{min(1.0, max(0.0, cell)):.3f}">{escape(text)}</td>'
    return f"<td>{escape(text)}</td>"


def _figure(plot: Plot) -> Iterator[str]:
    title, _, rest = plot.title.partition("\n")
    width = round(plot.panel_width * 1.1)
    yield f'<figure id="plot-{escape(plot.name)}">\n<h3>{escape(title)}</h3>'
    if plot.legend:
        yield f'<ul class="legend">{"".join(map(_entry, plot.legend))}</ul>'
    columns = min(plot.columns, len(plot.panels))
    yield f'<div class="panels" style="--w:{width}px;--n:{columns}">'
    for panel, svg in zip(plot.panels, plot.panel_svgs(), strict=True):
        label = f"{panel.title}: {plot.alt}" if panel.title else plot.alt
        yield _themed(svg).replace("<svg", f'<svg role="img" aria-label="{escape(label)}"', 1)
    caption = " ".join([plot.alt, *rest.split("\n")]).strip()
    files = f'As <a href="{plot.name}.png">PNG</a>, <a href="{plot.name}.svg">SVG</a>.'
    yield f"</div>\n<figcaption>{escape(caption)} {files}</figcaption>\n</figure>"


def _entry(series: Series) -> str:
    line = f'<line x1="0" y1="5" x2="32" y2="5" stroke="var({variable(series.colour)})" stroke-width="2.5"'
    dash = f' stroke-dasharray="{DASHES[series.style]}"'
    return f'<li><svg viewBox="0 0 32 10" aria-hidden="true">{line}{dash}/></svg>{escape(series.label)}</li>'


def _themed(svg: str) -> str:
    """An SVG with the page's colours, which follow light and dark, instead of its own."""
    for colour in (INK, GRID, *DARK):
        svg = svg.replace(colour, f"var({variable(colour)})")
    return svg
