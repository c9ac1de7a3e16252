"""A plot of panels: one PNG and one SVG with all of them; and each of them by itself, cut out of it, for the page."""

import io
import math
import re
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mtrl.report.palette import GRID, INK, LineStyle

WIDE = (4.8, 2.9)
"""Size of a panel that stands alone, inches: its letters can be read on a phone."""
_DPI = 170
_POINTS_PER_INCH = 72
_PAD = 0.08
"""Around a panel with all that is written at it, inches."""
_ASSUMED = (0.6, 0.5, 0.1, 0.3)
"""Margins left, below, right and above of a panel until what is written there is measured, inches."""
_STYLE: dict[Any, Any] = {
    "axes.facecolor": "none",
    "axes.axisbelow": True,
    "axes.edgecolor": INK,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 9.5,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "path.simplify": True,
    "svg.fonttype": "none",
    "text.color": INK,
    "xtick.color": INK,
    "xtick.labelsize": 8.5,
    "ytick.color": INK,
    "ytick.labelsize": 8.5,
}


@dataclass(frozen=True)
class Panel:
    """One pair of axes."""

    title: str
    draw: Callable[[Axes], None]


@dataclass(frozen=True)
class Series:
    """An entry of the legend."""

    label: str
    colour: str
    style: LineStyle = "-"


@dataclass(frozen=True)
class Plot:
    """A plot: panels side by side, with a title, a description and a legend."""

    name: str
    """Of its files."""
    title: str
    alt: str
    """What is to be seen, for those who do not."""
    panels: Sequence[Panel]
    legend: Sequence[Series] = field(default=())
    size: tuple[float, float] = (3.2, 2.3)
    """Of a panel, inches."""
    columns: int = 5
    """Panels in a row, at most."""

    def files(self) -> dict[str, bytes]:
        """All panels: a PNG and an SVG, by name."""
        png, svg = self._drawn
        return {f"{self.name}.png": png, f"{self.name}.svg": svg.encode()}

    def panel_svgs(self) -> list[str]:
        """Each by itself, to be put into a page, all into the same one: a later one may use what is defined before."""
        svg = self._drawn[1]
        style = svg[svg.index("<style") : svg.index("</style>")] + "</style>"
        clips = dict(re.findall(r'(?s)(?=<clipPath id="([^"]+)">)(.*?</clipPath>)', svg))
        drawn = re.findall(r'(?ms)^  <g id="axes_\d+">$.*?^  </g>$', svg)
        found = []
        for number, panel in enumerate(drawn):
            box = " ".join(f"{_POINTS_PER_INCH * inches:g}" for inches in self._grid.cell(number))
            own = "".join(clips[name] for name in dict.fromkeys(re.findall(r"url\(#([^)]+)\)", panel)))
            found.append(_inline(f'<svg viewBox="{box}"><defs>{style}{own}</defs>\n{panel}\n</svg>\n'))
        return found

    @property
    def panel_width(self) -> float:
        """Of a panel as `panel_svgs` has it, points."""
        return _POINTS_PER_INCH * self._grid.cell(0)[2]

    @cached_property
    def _drawn(self) -> tuple[bytes, str]:
        """The PNG and the SVG. The latter is the same every time: no date, and identifiers that depend on the name."""
        with matplotlib.rc_context({**_STYLE, "svg.hashsalt": self.name}):
            figure, png, svg = self._figure(), io.BytesIO(), io.StringIO()
            figure.savefig(png, format="png", dpi=_DPI)
            figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
        return png.getvalue(), svg.getvalue()

    @cached_property
    def _grid(self) -> "_Grid":
        columns = min(self.columns, len(self.panels))
        rows = math.ceil(len(self.panels) / columns)
        width, height = max(WIDE[0], self.size[0] * columns), self.size[1] * rows
        first, _, more = self.title.partition("\n")
        title = [part for text in (first, more) for part in textwrap.wrap(text, int(width * 13))]
        letters = max((len(series.label) + 6 for series in self.legend), default=1)
        entries = max(1, int(width * 12 / letters))
        below = 0.22 * math.ceil(len(self.legend) / entries)
        return _Grid(columns, rows, width, height, 0.17 * len(title) + 0.1, below, "\n".join(title), entries)

    def _figure(self) -> Figure:
        grid = self._grid
        figure = Figure(figsize=(grid.width, grid.total))
        axes = [*figure.subplots(grid.rows, grid.columns, squeeze=False).flat]
        shown, empty = axes[: len(self.panels)], axes[len(self.panels) :]
        for axis, panel in zip(shown, self.panels, strict=True):
            axis.set_title(panel.title)
            panel.draw(axis)
        for axis in empty:
            axis.set_visible(False)
        grid.lay_out(figure, shown)
        if self.legend:
            handles = [
                Line2D([], [], color=s.colour, linestyle=s.style, linewidth=2, label=s.label) for s in self.legend
            ]
            figure.legend(handles=handles, loc="lower center", ncols=min(grid.entries, len(handles)))
        figure.suptitle(grid.title, fontsize=9.5, y=1 - 0.08 / grid.total, verticalalignment="top")
        return figure


@dataclass(frozen=True)
class _Grid:
    """Where the panels of a figure lie, inches: in cells of one size, between the title and the legend."""

    columns: int
    rows: int
    width: float
    height: float
    """Of all cells."""
    above: float
    below: float
    title: str
    """In lines that fit."""
    entries: int
    """Of the legend in a row."""

    @property
    def total(self) -> float:
        """Height of the figure."""
        return self.above + self.height + self.below

    def cell(self, number: int) -> tuple[float, float, float, float]:
        """Left, top, width and height of a panel with all that is written at it."""
        row, column = divmod(number, self.columns)
        width, height = self.width / self.columns, self.height / self.rows
        return column * width, self.above + row * height, width, height

    def lay_out(self, figure: Figure, axes: Sequence[Axes]) -> None:
        """Puts the axes into their cells, with the same margins each, measured once: all that is written there fits."""
        self._place(figure, *_ASSUMED)
        margins = [_PAD, _PAD, _PAD, _PAD]
        for axis in axes:
            outer, inner = axis.get_tightbbox(for_layout_only=True), axis.get_window_extent()
            assert outer is not None
            around = (inner.x0 - outer.x0, inner.y0 - outer.y0, outer.x1 - inner.x1, outer.y1 - inner.y1)
            margins = [max(known, pixels / figure.dpi + _PAD) for known, pixels in zip(margins, around, strict=True)]
        self._place(figure, *margins)
        cell = self.cell(0)[2]
        for axis in axes:  # over the middle of the cell: a title may be longer than a narrow panel
            start, end = (x * self.width for x in axis.get_position().intervalx)
            axis.title.set_x((cell / 2 - start % cell) / (end - start))

    def _place(self, figure: Figure, left: float, below: float, right: float, above: float) -> None:
        _, _, width, height = self.cell(0)
        left, right = _fitted(left, right, width)
        below, above = _fitted(below, above, height)
        figure.subplots_adjust(
            left=left / self.width,
            right=1 - right / self.width,
            bottom=(self.below + below) / self.total,
            top=1 - (self.above + above) / self.total,
            wspace=(left + right) / (width - left - right),
            hspace=(below + above) / (height - below - above),
        )


def _fitted(before: float, after: float, length: float) -> tuple[float, float]:
    """Two margins that leave a fifth of a length: of names as long as their panel a part is cut off."""
    share = min(1, 0.8 * length / (before + after))
    return share * before, share * after


def _inline(svg: str) -> str:
    """An SVG without what only a file needs: two decimals of a point do, and identifiers that nothing refers to go."""
    svg = re.sub(r' (?:d|x|y)="[^"]*"', lambda m: re.sub(r"(\.\d{2})\d+", r"\1", m.group(0)), svg)
    referred = set(re.findall(r"(?:url\(#|href=\"#)([^)\"]+)", svg))
    svg = re.sub(r' id="([^"]*)"', lambda m: m.group(0) if m.group(1) in referred else "", svg)
    return re.sub(r"\n\s*", "\n", svg)
