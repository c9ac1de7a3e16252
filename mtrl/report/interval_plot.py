"""Estimates with their intervals, a row each."""

from collections.abc import Sequence

from matplotlib.axes import Axes

from mtrl.report.palette import COLOURS
from mtrl.report.plot import WIDE, Panel, Plot
from mtrl.statistics import Interval

Row = tuple[str, float, Interval | None]
"""Name, value, interval."""


def interval_plot(name: str, title: str, x_label: str, rows: Sequence[Row], limits: tuple[float, float] | None) -> Plot:
    """A plot with a point and an interval for each row, the first row on top."""
    x_label += "; 95% interval" if any(interval for _, _, interval in rows) else ""

    def draw(axes: Axes) -> None:
        for y, (_, value, interval) in enumerate(rows):
            if interval:
                axes.plot(
                    [interval.low, interval.high],
                    [y, y],
                    color=COLOURS[0],
                    linewidth=6,
                    alpha=0.35,
                    solid_capstyle="butt",
                )
            axes.plot([value], [y], "o", color=COLOURS[0], markersize=6)
        axes.set_yticks(range(len(rows)), [label for label, _, _ in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlabel(x_label)
        if limits:
            axes.set_xlim(*limits)
        else:
            axes.axvline(0, color="0.5", linewidth=1)

    alt = f"{title}, {x_label}: {'; '.join(f'{label} {value:.2f}' for label, value, _ in rows)}."
    return Plot(name, title, alt, [Panel("", draw)], size=(WIDE[0], 0.9 + 0.28 * len(rows)))
