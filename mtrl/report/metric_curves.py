"""Plots of supervised runs: test metrics over the epochs, a panel each, and delta_m with its intervals."""

from collections.abc import Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from mtrl.report.curves import NO_LINE, Line, draw_lines, legend, line, on_one_grid
from mtrl.report.interval_plot import interval_plot
from mtrl.report.metric_runs import MetricGroup
from mtrl.report.metric_table import MetricTable
from mtrl.report.plot import Panel, Plot


def metric_curves(groups: Sequence[MetricGroup]) -> Plot | None:
    """Mean over seeds as a line with a band; seeds as thin lines where they are too few for one."""
    metrics = dict.fromkeys(name for group in groups for run in group.runs for name in run.outcome.curves)
    panels = [Panel(name, partial(_draw, lines=[_line(group, name) for group in groups])) for name in metrics]
    names = [group.name for group in groups]
    alt = f"Test metrics over the epochs, a panel each; a line for each of {', '.join(names)}."
    return Plot("curves", "Test metrics", alt, panels, legend(names), columns=4) if panels else None


def delta_plot(table: MetricTable) -> Plot | None:
    """delta_m of every method, the best first."""
    rows = [(c.name, c.delta_m, c.delta_m_interval) for c in table.columns if c.delta_m is not None]
    if not rows:
        return None
    rows.sort(key=lambda row: row[1])
    label = "delta_m, %, lower is better"
    return interval_plot("delta_m", "Loss against single-task models", label, rows, None)


def _line(group: MetricGroup, name: str) -> Line:
    logged = [(run.outcome.evaluated, run.outcome.curves) for run in group.runs]
    curves = [(epochs.astype(np.float64), of_run[name][:, None]) for epochs, of_run in logged if name in of_run]
    return line(*on_one_grid(curves)) if curves else NO_LINE


def _draw(axes: Axes, lines: Sequence[Line]) -> None:
    draw_lines(axes, lines)
    axes.set_xlabel("epochs")
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
