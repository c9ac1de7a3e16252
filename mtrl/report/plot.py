"""A plot of panels: one PNG and one SVG with all of them, and an SVG of each for the page."""

import io
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mtrl.report.palette import GRID, INK, LineStyle

WIDE = (4.8, 2.9)
"""Size of a panel that stands alone, inches: its letters can be read on a phone."""
_WIDTH = 6.6  # of a file at least, inches
_DPI = 130
_STYLE: dict[Any, Any] = {
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
        """All panels, laid out once: a PNG and an SVG, by name."""
        with matplotlib.rc_context({**_STYLE, "svg.hashsalt": self.name}):
            figure, png = self._figure(), io.BytesIO()
            figure.savefig(png, format="png", dpi=_DPI)
            return {f"{self.name}.png": png.getvalue(), f"{self.name}.svg": _svg(figure).encode()}

    def panel_svgs(self) -> list[str]:
        """Each by itself, to be put into a page."""
        found = []
        for number, panel in enumerate(self.panels):
            with matplotlib.rc_context({**_STYLE, "svg.hashsalt": f"{self.name} {number}"}):
                figure = Figure(figsize=self.size)
                axes = figure.subplots()
                axes.set_title(panel.title)
                panel.draw(axes)
                figure.patch.set_alpha(0)
                axes.patch.set_alpha(0)
                _lay_out(figure)
                found.append(_inline(_svg(figure)))
        return found

    def _figure(self) -> Figure:
        columns = min(self.columns, len(self.panels))
        rows = math.ceil(len(self.panels) / columns)
        width, height = max(_WIDTH, self.size[0] * columns), self.size[1] * rows
        letters = max((len(series.label) + 6 for series in self.legend), default=1)
        in_a_row = max(1, int(width * 12 / letters))
        legend_height = 0.22 * math.ceil(len(self.legend) / in_a_row)
        title_height = 0.17 * len(self.title.split("\n"))
        figure = Figure(figsize=(width, height + 0.2 + title_height + legend_height))
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for axis, panel in zip(axes, self.panels, strict=False):
            axis.set_title(panel.title)
            panel.draw(axis)
        for axis in axes[len(self.panels) :]:
            axis.set_visible(False)
        if self.legend:
            handles = [
                Line2D([], [], color=s.colour, linestyle=s.style, linewidth=2, label=s.label) for s in self.legend
            ]
            figure.legend(handles=handles, loc="lower center", ncols=min(in_a_row, len(handles)))
        total = figure.get_size_inches()[1]
        figure.suptitle(self.title, fontsize=9.5, y=1 - 0.08 / total, verticalalignment="top").set_in_layout(False)
        _lay_out(figure, (0, legend_height / total, 1, 1 - (title_height + 0.1) / total))
        return figure


def _lay_out(figure: Figure, rect: tuple[float, float, float, float] = (0, 0, 1, 1)) -> None:
    """Once: a figure that keeps an engine of layout, even one that does nothing, is drawn twice for each file."""
    figure.tight_layout(rect=rect)
    figure.set_layout_engine(None)


def _svg(figure: Figure) -> str:
    """The same every time: no date, and identifiers that depend on the salt alone."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return buffer.getvalue()


def _inline(svg: str) -> str:
    """An SVG without what only a file needs: two decimals of a point do, and identifiers that nothing refers to go."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    tag, rest = svg.split(">", 1)
    svg = re.sub(r' (?:width|height)="[^"]*"', "", tag) + ">" + rest
    svg = re.sub(r' (?:d|x|y)="[^"]*"', lambda m: re.sub(r"(\.\d{2})\d+", r"\1", m.group(0)), svg)
    referred = set(re.findall(r"(?:url\(#|href=\"#)([^)\"]+)", svg))
    svg = re.sub(r' id="([^"]*)"', lambda m: m.group(0) if m.group(1) in referred else "", svg)
    return re.sub(r"\n\s*", "\n", svg)
