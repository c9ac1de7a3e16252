"""Plots of the evaluations: intervals, heat map, performance profiles, probability of improvement."""

import numpy as np
from matplotlib.axes import Axes

from mtrl.report.curves import Line, draw_lines, legend
from mtrl.report.interval_plot import interval_plot
from mtrl.report.parts import Division
from mtrl.report.plot import WIDE, Panel, Plot
from mtrl.report.success_table import BOOTSTRAP_SEED, SuccessTable
from mtrl.report.table import Table
from mtrl.statistics import MIN_RUNS_FOR_INTERVAL, bootstrap_band, performance_profile

_THRESHOLDS = np.linspace(0, 1, 41)


def headline_plot(table: SuccessTable) -> Plot:
    """IQM of every method with its interval, the best first."""
    measure = table.measure
    columns = sorted(table.columns, key=lambda c: -c.score.iqm.value)
    rows = [(c.name, c.score.iqm.value, c.score.iqm.interval) for c in columns]
    title = f"{measure.name.capitalize()} over all tasks"
    return interval_plot("headline", title, f"{measure.label}, interquartile mean", rows, measure.limits)


def heat_map(table: Table, suffix: str) -> Plot:
    """A table whose cells are shares, as colours; the page shades the table itself."""
    rows, columns = [str(row[0]) for row in table.rows], [column.title for column in table.columns[1:]]
    values = np.array([[np.nan if cell is None else cell for cell in row[1:]] for row in table.rows], dtype=np.float64)

    def draw(axes: Axes) -> None:
        axes.pcolormesh(np.ma.masked_invalid(values), vmin=0, vmax=1, cmap="cividis", edgecolors="face", linewidth=0.1)
        for (i, j), value in np.ndenumerate(values):
            if not np.isnan(value):
                colour = "white" if value < 0.55 else "black"
                axes.text(j + 0.5, i + 0.5, f"{value:.2f}", ha="center", va="center", color=colour, fontsize=8)
        axes.set_yticks(np.arange(len(rows)) + 0.5, rows)
        axes.set_xticks(np.arange(len(columns)) + 0.5, columns, rotation=35, ha="right")
        axes.set_ylim(len(rows), 0)
        axes.grid(False)
        axes.tick_params(length=0)

    size = (2.2 + 0.75 * len(columns), 0.8 + 0.06 * max(map(len, columns)) + 0.3 * len(rows))
    return Plot(
        f"{table.name}{suffix}",
        table.title,
        f"{table.title}; the numbers are in the table.",
        [Panel("", draw)],
        size=size,
    )


def profile_plot(division: Division) -> Plot:
    """Share of runs and tasks above each success."""
    lines = [_profile(scores.score) for scores in division.scores]
    names = [scores.name for scores in division.scores]

    def draw(axes: Axes) -> None:
        draw_lines(axes, lines)
        axes.set_xlim(0, 1)
        axes.set_ylim(-0.02, 1.02)
        axes.set_xlabel("any-step success τ")
        axes.set_ylabel("share of runs and tasks above τ")

    alt = f"Performance profiles: share of runs and tasks with more success than τ, for {', '.join(names)}."
    return Plot("profile", "Performance profiles", alt, [Panel("", draw)], legend(names), WIDE)


def _profile(scores: np.ndarray) -> Line:
    """The performance profile of scores `[R, T]`.

    It is the mean of scores that are 1 above the threshold, so that its intervals are those of a mean.
    """
    above = (scores > _THRESHOLDS[:, None, None]).astype(np.float64)
    band = None
    if len(scores) >= MIN_RUNS_FOR_INTERVAL:
        band = bootstrap_band(above, generator=np.random.default_rng(BOOTSTRAP_SEED), resamples=500, whole_runs=True)
    return Line(_THRESHOLDS, performance_profile(scores, _THRESHOLDS)[:, None], band)
