"""Learning curves: success against environment steps, mean over tasks and task by task.

Training success is what the stochastic policy reached in its recent episodes at the training horizon; circles
are evaluations of the deterministic policy, the filled one that of the final checkpoint.
"""

import io
import math
from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator
from numpy.typing import NDArray

from mtrl.report.groups import Group
from mtrl.report.runs import Curve, Run

# Okabe and Ito's colours: told apart with every common colour blindness. Later groups change the line style.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLES = ("-", "--", "-.", ":")
_DPI = 150


def mean_curve_png(groups: Sequence[Group]) -> bytes:
    """One panel: success, mean over tasks."""
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for index, group in enumerate(groups):
        _draw(axes, group, index, task=None)
    _finish(axes, groups)
    axes.set_ylabel("success, mean over tasks")
    tasks = groups[0].runs[0].tasks
    on = tasks[0] if len(tasks) == 1 else f"{len(tasks)} tasks"
    axes.set_title(f"Success on {on}\n{_what(groups)}", fontsize=10)
    axes.legend(frameon=False, fontsize=9, loc="upper left")
    return png(figure)


def task_curves_png(groups: Sequence[Group]) -> bytes:
    """A small panel per task, all on the same axes."""
    tasks = groups[0].runs[0].tasks
    columns = min(5, len(tasks))
    rows = math.ceil(len(tasks) / columns)
    size = (max(7, 2.6 * columns), 2.0 + 2.1 * rows)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for i, task in enumerate(tasks):
        for index, group in enumerate(groups):
            _draw(panels[i], group, index, task=i)
        _finish(panels[i], groups, label=False)
        panels[i].set_title(task, fontsize=10)
    for panel in panels[len(tasks) :]:
        panel.set_visible(False)
    lowest = panels[(rows - 1) * columns + (len(tasks) - (rows - 1) * columns) // 2]
    # The figure's own label would lie under the legend, so a panel has it, short enough to fit below.
    lowest.set_xlabel("environment steps, all tasks", fontsize=9)
    figure.supylabel("success", fontsize=10)
    figure.suptitle(f"Success per task\n{_what(groups)}", fontsize=10)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    return png(figure)


def mean_over_runs(
    curves: Sequence[tuple[NDArray[np.int64], NDArray[np.float64]]],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Mean of curves `(steps [N], success [N])`, interpolated where their steps differ.

    It spans the steps that every curve reached, so that no seed drops out of the mean along the way.
    Points that are NaN are left out.
    """
    known = [(steps[~np.isnan(success)], success[~np.isnan(success)]) for steps, success in curves]
    if not known or any(len(steps) == 0 for steps, _ in known):
        return np.empty(0, dtype=np.int64), np.empty(0)
    low = max(steps[0] for steps, _ in known)
    high = min(steps[-1] for steps, _ in known)
    grid = np.unique(np.concatenate([steps for steps, _ in known]))
    grid = grid[(grid >= low) & (grid <= high)]
    return grid, np.mean([np.interp(grid, steps, success) for steps, success in known], axis=0)


def _draw(axes: Axes, group: Group, index: int, task: int | None) -> None:
    """Draw one group: its mean as a line, its seeds as thin lines, its evaluations as circles."""
    colour, style = COLOURS[index % len(COLOURS)], STYLES[index // len(COLOURS) % len(STYLES)]
    curves = [(run.training.steps, _pick(run.training, task)) for run in group.runs]
    if len(curves) > 1:
        for steps, success in curves:
            axes.plot(steps, success, color=colour, linestyle=style, linewidth=0.7, alpha=0.45)
    steps, success = mean_over_runs(curves)
    seeds = f" (mean of {len(curves)} seeds)" if len(curves) > 1 else ""
    axes.plot(steps, success, color=colour, linestyle=style, linewidth=2.2, label=f"{group.name}{seeds}")
    for run in group.runs:
        at, value = run.evaluations.steps, _pick(run.evaluations, task)
        if len(at):  # an empty line that is not clipped breaks the layout
            axes.plot(at, value, "o", color=colour, mfc="white", markersize=4.5, clip_on=False, zorder=3)
        if run.result is not None:
            final = run.result.success_any.mean() if task is None else run.result.success_any[task]
            axes.plot([run.result.step], [final], "o", color=colour, markersize=6, clip_on=False, zorder=4)


def _pick(curve: Curve, task: int | None) -> NDArray[np.float64]:
    """Success of one task, or the mean over tasks (NaN as long as some task has none), `[N]`."""
    return curve.success.mean(axis=1) if task is None else curve.success[:, task]


def _finish(axes: Axes, groups: Sequence[Group], *, label: bool = True) -> None:
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlim(0, max(1, *(_last_step(run) for group in groups for run in group.runs)))
    axes.grid(color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(6 if label else 3))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    if label:
        axes.set_xlabel("environment steps, summed over tasks")


def _last_step(run: Run) -> int:
    curves = (run.training.steps, run.evaluations.steps)
    final = run.result.step if run.result else 0
    return max(final, *(int(steps.max(initial=0)) for steps in curves))


def _what(groups: Sequence[Group]) -> str:
    """What is plotted, in one or two lines."""
    runs = [run for group in groups for run in group.runs]
    text = f"training: any-step success, stochastic policy, horizon {_numbers(run.horizon for run in runs)}"
    tested = [run.evaluation_horizon for run in runs if run.result or len(run.evaluations.steps)]
    if tested:
        text += f"\ncircles: any-step success, deterministic policy, horizon {_numbers(tested)}; filled: final"
    return text


def _numbers(values: Iterable[int]) -> str:
    return " or ".join(map(str, sorted(set(values))))


def png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI)
    return buffer.getvalue()
