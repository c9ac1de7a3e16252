"""What the gradients did: conflicts, cosines, weights, norms, temperatures, and where the time went.

Axes: `N` points, `R` seeds, `T` tasks.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from mtrl.report.curves import NO_LINE, Line, draw_lines, legend, line, on_one_grid
from mtrl.report.gradients import components_of, gradient_table, time_table
from mtrl.report.history import SHARED, Component, History
from mtrl.report.page import Block, Folded
from mtrl.report.palette import look
from mtrl.report.plot import WIDE, Panel, Plot, Series
from mtrl.report.runs import Group

Array = NDArray[np.float64]
_DECADE = 10
_STAGES = ("first third", "second third", "last third")


def gradient_blocks(groups: Sequence[Group[Any]], x_label: str) -> list[Block | None]:
    """The table, and plots of all that the runs have logged; None for what they have not."""
    groups = [
        replace(group, runs=begun)
        for group in groups
        if (begun := tuple(run for run in group.runs if len(run.history.steps) and run.history.tasks))
    ]
    if not groups:
        return []
    of_tasks = legend(groups[0].histories[0].tasks)
    shared = [group for group in groups if not group.is_single_task]
    cosines = _cosine_plot(shared)
    return [
        gradient_table(groups),
        _conflict_plot(shared, x_label),
        Folded("Cosines between the tasks' gradients", [cosines]) if cosines else None,
        _task_plot(groups, "weights", "Weight of each task, share of their sum", _shares, of_tasks, x_label),
        _task_plot(groups, "gradient_norm", "Gradient norm of each task", _norms, of_tasks, x_label, log=True),
        _temperature_plot(groups, of_tasks, x_label),
        _time_plot(groups),
    ]


def _of_component(group: Group[Any], name: str, values: Callable[[Component], Array]) -> list[tuple[Array, Array]]:
    """Curves `(x, [N, T])` of the seeds that have the component."""
    return [
        (history.steps.astype(np.float64), values(history.components[name]))
        for history in group.histories
        if name in history.components
    ]


def _conflict_plot(groups: Sequence[Group[Any]], x_label: str) -> Plot | None:
    panels = []
    for name in components_of(groups):
        curves = [_of_component(group, name, lambda c: c.conflict_rate[:, None]) for group in groups]
        lines = [line(*on_one_grid(of_group)) if of_group else NO_LINE for of_group in curves]
        panels.append(Panel(_title(name), partial(_draw_rates, lines=lines, x_label=x_label)))
    names = [group.name for group in groups]
    alt = f"Share of task pairs in conflict over training, for {', '.join(names)}."
    return Plot("conflict", "Conflict rate", alt, panels, legend(names), WIDE, 2) if panels else None


def _draw_rates(axes: Axes, lines: Sequence[Line], x_label: str) -> None:
    draw_lines(axes, lines)
    axes.set_ylim(-0.02, 1.02)
    axes.set_ylabel("share of task pairs")
    _count_along(axes, x_label)


def _cosine_plot(groups: Sequence[Group[Any]]) -> Plot | None:
    panels = []
    for group in groups:
        for name in components_of([group]):
            known = [_cosines(run, name) for run in group.histories]
            matrices = [cosines for cosines in known if cosines is not None and len(cosines) >= len(_STAGES)]
            if not matrices:
                continue
            for i, stage in enumerate(_STAGES):
                of_stage = np.concatenate([np.array_split(matrix, len(_STAGES))[i] for matrix in matrices])
                title = f"{group.name}{_comma(name)}, {stage}"
                panels.append(
                    Panel(title, partial(_draw_cosines, cosines=of_stage.mean(axis=0), tasks=group.histories[0].tasks))
                )
    alt = "Mean cosine between the gradients of every two tasks in each third of training; orange: against each other."
    title = "Cosines between the tasks' gradients"
    return Plot("cosines", title, alt, panels, size=(3.0, 2.9), columns=3) if panels else None


def _cosines(run: History, name: str) -> Array | None:
    """The cosines between a component's task gradients, at every event that has all of them: `[N, T, T]`."""
    component = run.components.get(name)
    if component is None or component.cosines is None:
        return None
    return component.cosines[~np.isnan(component.cosines).any(axis=(1, 2))]


def _draw_cosines(axes: Axes, cosines: Array, tasks: Sequence[str]) -> None:
    T = len(tasks)
    cosines = np.where(np.eye(T, dtype=bool), np.nan, cosines)  # a gradient's own is no news
    axes.pcolormesh(np.ma.masked_invalid(cosines), vmin=-1, vmax=1, cmap="PuOr", edgecolors="face", linewidth=0.1)
    if T <= 6:
        for (i, j), value in np.ndenumerate(cosines):
            if i != j:
                colour = "white" if abs(value) > 0.7 else "black"
                axes.text(j + 0.5, i + 0.5, f"{value:.2f}", ha="center", va="center", color=colour, fontsize=8)
    axes.set_ylim(T, 0)
    axes.set_xticks([])
    axes.set_yticks(np.arange(T) + 0.5, tasks, fontsize=7)
    axes.grid(False)
    axes.tick_params(length=0)


def _shares(component: Component) -> Array:
    total = np.abs(component.weights).sum(axis=1, keepdims=True)
    return np.divide(component.weights, total, out=np.full(component.weights.shape, np.nan), where=total > 0)


def _norms(component: Component) -> Array:
    return component.gradient_norm


def _task_plot(
    groups: Sequence[Group[Any]],
    name: str,
    title: str,
    values: Callable[[Component], Array],
    of_tasks: Sequence[Series],
    x_label: str,
    *,
    log: bool = False,
) -> Plot | None:
    """A panel for each group and component, a line for each task."""
    panels = []
    for group in groups:
        for component in components_of([group]):
            grid, found = on_one_grid(_of_component(group, component, values))
            if len(grid):
                draw = partial(_draw_tasks, grid=grid, means=found.mean(axis=1), x_label=x_label, log=log)
                panels.append(Panel(f"{group.name}{_comma(component)}", draw))
    alt = f"{title} over training, mean over seeds; a panel for each method and component, a line for each task."
    return Plot(name, title, alt, panels, of_tasks, columns=4) if panels else None


def _temperature_plot(groups: Sequence[Group[Any]], of_tasks: Sequence[Series], x_label: str) -> Plot | None:
    panels = []
    for group in groups:
        grid, found = on_one_grid([(run.steps.astype(np.float64), run.temperature) for run in group.histories])
        if len(grid):
            draw = partial(_draw_tasks, grid=grid, means=found.mean(axis=1), x_label=x_label, log=True)
            panels.append(Panel(group.name, draw))
    title = "Entropy temperature of each task"
    alt = f"{title} over training, mean over seeds; a panel for each method, a line for each task."
    return Plot("temperature", title, alt, panels, of_tasks, columns=4) if panels else None


def _draw_tasks(axes: Axes, grid: Array, means: Array, x_label: str, log: bool) -> None:
    for task in range(means.shape[1]):
        colour, style = look(task)
        axes.plot(grid, means[:, task], color=colour, linestyle=style, linewidth=1.4)
    positive = means[means > 0]
    if log and len(positive) and positive.max() > _DECADE * positive.min():
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=6))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_ylim(bottom=min(0.0, float(np.nanmin(means))))
    _count_along(axes, x_label)


def _time_plot(groups: Sequence[Group[Any]]) -> Plot | None:
    table = time_table(groups)
    if table is None:
        return None
    parts = [column.key for column in table.columns[1:]]
    shares = np.array([[cell or 0.0 for cell in row[1:]] for row in table.rows], dtype=np.float64)

    def draw(axes: Axes) -> None:
        left = np.zeros(len(groups))
        for index in range(len(parts)):
            colour, _ = look(index)
            axes.barh(range(len(groups)), shares[:, index], left=left, color=colour, height=0.7)
            left += shares[:, index]
        axes.set_yticks(range(len(groups)), [group.name for group in groups])
        axes.set_ylim(len(groups) - 0.5, -0.5)
        axes.set_xlim(0, 1)
        axes.set_xlabel("share of wall time")

    alt = "Where the wall time of training went; the numbers are in the table."
    of_parts = legend(parts)
    return Plot("time", table.title, alt, [Panel("", draw)], of_parts, (WIDE[0], 0.9 + 0.28 * len(groups)))


def _count_along(axes: Axes, x_label: str) -> None:
    axes.set_xlabel(x_label)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))


def _title(component: str) -> str:
    return "" if component == SHARED else component


def _comma(component: str) -> str:
    return "" if component == SHARED else f", {component}"
