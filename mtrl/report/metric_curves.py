"""Test metrics of supervised runs over the epochs, a panel each."""

import math
from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mtrl.report.curves import COLOURS, STYLES, mean_over_runs, png
from mtrl.report.metric_runs import MetricGroup


def metric_curves_png(groups: Sequence[MetricGroup]) -> bytes:
    """Mean over seeds as a line, seeds as thin ones."""
    names = next((list(run.curves) for group in groups for run in group.runs if run.curves), [])
    columns = max(1, min(4, len(names)))
    rows = max(1, math.ceil(len(names) / columns))
    figure = Figure(figsize=(max(5, 3.0 * columns), 1.2 + 2.2 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, sharex=True, squeeze=False).ravel()
    for panel, name in zip(panels, names, strict=False):
        for index, group in enumerate(groups):
            colour, style = COLOURS[index % len(COLOURS)], STYLES[index // len(COLOURS) % len(STYLES)]
            curves = [(run.evaluated, run.curves[name]) for run in group.runs if name in run.curves]
            if len(curves) > 1:
                for epochs, values in curves:
                    panel.plot(epochs, values, color=colour, linestyle=style, linewidth=0.7, alpha=0.45)
            mean = mean_over_runs(curves)
            marker = "o" if len(mean[0]) == 1 else None
            panel.plot(*mean, color=colour, linestyle=style, linewidth=2, marker=marker, label=group.name)
        panel.set_title(name, fontsize=9)
        panel.grid(color="0.9", linewidth=0.8)
        panel.set_axisbelow(True)
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(labelsize=8)
        panel.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    for panel in panels[len(names) :]:
        panel.set_visible(False)
    figure.supxlabel("epochs", fontsize=10)
    figure.suptitle("Test metrics", fontsize=11)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    return png(figure)
