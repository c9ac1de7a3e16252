"""Learning curves: success against environment steps and wall time, mean over tasks and task by task.

Training success is what the stochastic policy reached in its recent episodes at the training horizon; circles are
evaluations of the deterministic policy, the filled one that which counts.

Axes: `N` points, `R` seeds, `T` tasks.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, MaxNLocator
from numpy.typing import NDArray

from mtrl.report.palette import look
from mtrl.report.parts import Part
from mtrl.report.plot import WIDE, Panel, Plot, Series
from mtrl.report.success_runs import SuccessGroup, SuccessRun
from mtrl.report.success_table import BOOTSTRAP_SEED
from mtrl.statistics import MIN_RUNS_FOR_INTERVAL, Band, bootstrap_band

Array = NDArray[np.float64]
_POINTS = 60  # of a curve at most: it is a few hundred pixels wide
_RESAMPLES = 500
_EVERY = slice(None)


@dataclass(frozen=True)
class Line:
    """The curve of one group of seeds."""

    x: Array
    """`[N]`"""
    seeds: Array
    """`[N, R]`"""
    band: Band | None
    """95%, of the mean over seeds; None for fewer than `MIN_RUNS_FOR_INTERVAL` of them."""

    @property
    def mean(self) -> Array:
        """The mean over seeds, `[N]`."""
        return self.seeds.mean(axis=1)


NO_LINE = Line(np.empty(0), np.empty((0, 1)), None)


@dataclass(frozen=True)
class _Against:
    """The horizontal axis of a curve: steps or time."""

    name: str
    short: str
    label: str
    of_run: Callable[[SuccessRun], Array]
    """`[N]`"""
    is_steps: bool
    """Thousands of them are shortened, and evaluations are known by them."""


_STEPS = _Against(
    "curve", "steps", "environment steps, all tasks", lambda run: run.outcome.training.steps.astype(np.float64), True
)
_MINUTES = _Against("curve_time", "wall time", "wall time, minutes", lambda run: run.history.wall_s / 60, False)


def learning_plots(part: Part) -> list[Plot]:
    """The mean and each task, against steps and against minutes."""
    return [plot for against in (_STEPS, _MINUTES) for plot in _plots(part, against)]


def on_one_grid(curves: Sequence[tuple[Array, Array]]) -> tuple[Array, Array]:
    """Curves `(x [N], y [N, T])` of seeds, interpolated where their points differ: `([G], [G, R, T])`.

    It spans what every curve reached, so that no seed drops out of a mean along the way; but seeds without any point,
    which have just begun, are left out. So are points with NaN.
    """
    known = [(x[rows], y[rows]) for x, y in curves if (rows := ~np.isnan(y).any(axis=1)).any()]
    if not known:
        return np.empty(0), np.empty((0, 1, 1))
    low, high = max(x[0] for x, _ in known), min(x[-1] for x, _ in known)
    grid = np.unique(np.concatenate([x for x, _ in known]))
    grid = grid[(grid >= low) & (grid <= high)]
    if len(grid) > _POINTS:
        grid = np.linspace(low, high, _POINTS)
    values = np.array([[np.interp(grid, x, one_task) for one_task in y.T] for x, y in known])  # [R, T, G]
    return grid, np.moveaxis(values, -1, 0)


def line(grid: Array, values: Array) -> Line:
    """The mean over tasks of `[N, R, T]`."""
    if len(grid) == 0:
        return NO_LINE
    band = None
    if values.shape[1] >= MIN_RUNS_FOR_INTERVAL:
        generator = np.random.default_rng(BOOTSTRAP_SEED)
        band = bootstrap_band(values, generator=generator, resamples=_RESAMPLES, whole_runs=True)
    return Line(grid, values.mean(axis=2), band)


def draw_lines(axes: Axes, lines: Sequence[Line]) -> None:
    """Means, with their bands; the seeds themselves where they are too few for one."""
    for index, each in enumerate(lines):
        colour, style = look(index)
        if each.band:
            axes.fill_between(each.x, each.band.low, each.band.high, color=colour, alpha=0.16, linewidth=0)
        elif each.seeds.shape[1] > 1:
            axes.plot(each.x, each.seeds, color=colour, linestyle=style, linewidth=0.7, alpha=0.5)
        marker = "." if len(each.x) == 1 else None
        axes.plot(each.x, each.mean, color=colour, linestyle=style, linewidth=1.9, marker=marker)


def legend(names: Iterable[str]) -> list[Series]:
    """The legend of a plot with a line for each group."""
    return [Series(name, *look(index)) for index, name in enumerate(names)]


def _plots(part: Part, against: _Against) -> list[Plot]:
    grids = [on_one_grid([(against.of_run(run), run.outcome.training.score) for run in g.runs]) for g in part.groups]

    def panel(title: str, tasks: slice) -> Panel:
        lines = [line(grid, values[:, :, tasks]) for grid, values in grids]
        return Panel(title, partial(_draw, lines=lines, part=part, tasks=tasks, against=against))

    names, name = [group.name for group in part.groups], part.measure.name
    many = len(part.tasks) > 1
    of_all = f"mean over {len(part.tasks)} tasks" if many else part.tasks[0]
    alt = f"Training {name} against {against.label}; a line for each of {', '.join(names)}."
    what = _what(part, against)
    plots = [
        Plot(
            against.name,
            f"{name.capitalize()} against {against.short}, {of_all}\n{what}",
            alt,
            [panel("", _EVERY)],
            legend(names),
            WIDE,
        )
    ]
    if many:
        panels = [panel(task, slice(t, t + 1)) for t, task in enumerate(part.tasks)]
        title = f"{name.capitalize()} of each task against {against.short}\n{what}"
        plots.append(Plot(f"{against.name}_per_task", title, f"{alt} A panel per task.", panels, legend(names)))
    return plots


def _draw(axes: Axes, lines: Sequence[Line], part: Part, tasks: slice, against: _Against) -> None:
    draw_lines(axes, lines)
    if against.is_steps:
        for index, group in enumerate(part.groups):
            _draw_circles(axes, group, look(index)[0], tasks, part)
    if part.measure.limits:
        axes.set_ylim(*part.measure.limits)
    axes.set_xlim(left=0)
    axes.set_ylabel(part.measure.name)
    axes.set_xlabel(against.label)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    if against.is_steps:
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))


def _draw_circles(axes: Axes, group: SuccessGroup, colour: str, tasks: slice, part: Part) -> None:
    """Mean over seeds of the evaluations; filled, of those in the first table."""
    logged = [run.outcome.evaluations for run in group.runs]
    at, values = on_one_grid([(curve.steps.astype(np.float64), curve.score[:, tasks]) for curve in logged])
    if len(at):  # an empty line that is not clipped breaks the layout
        axes.plot(at, values.mean(axis=(1, 2)), "o", color=colour, mfc="none", markersize=3.5, clip_on=False)
    first = part.divisions[0].scores if part.divisions else ()
    if own := next((scores for scores in first if scores.name == group.name), None):
        step, score = np.mean([result.step for result in own.results]), own.score[:, tasks].mean()
        axes.plot([step], [score], "o", color=colour, markersize=5, clip_on=False, zorder=4)


def _what(part: Part, against: _Against) -> str:
    """The plot's explanation: what its lines and circles are."""
    runs = [run.outcome for group in part.groups for run in group.runs]
    text = (
        f"Lines: {part.measure.label} in training, stochastic policy, horizon {_numbers(run.horizon for run in runs)}."
    )
    text += "\nMean over seeds as far as all of them got, with its 95% interval."
    tested = [run.evaluation_horizon for run in runs if run.results or len(run.evaluations.steps)]
    if tested and against.is_steps:
        text += f"\nCircles: evaluations of the deterministic policy, horizon {_numbers(tested)}; filled: what counts."
    return text


def _numbers(values: Iterable[int | str]) -> str:
    return " or ".join(sorted(map(str, set(values)), key=lambda text: (len(text), text)))
