"""A small table of tasks with their success or returns so far, for the screen."""

import math
from collections.abc import Mapping
from typing import NamedTuple

from rich.console import RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table

from mtrl.report.table import NOTHING

Values = Mapping[int, Mapping[str, float | None]]
"""Of each seed, by task; None before the first episode has ended."""


class Score(NamedTuple):
    """What a table shows."""

    name: str
    form: str
    is_share: bool
    """In [0, 1], so that a bar shows it."""


SUCCESS, RETURN = Score("success", ".2f", is_share=True), Score("return", ",.1f", is_share=False)

_MOST_SEEDS = 8  # side by side; of more, mean and range are shown
_BAR_WIDTH = 12


def task_table(values: Values, height: int, score: Score = SUCCESS) -> Table:
    """A row a task, a column a seed; several tasks beside each other if they are too many for the height.

    Args:
        values: of one seed at least.
        height: lines that there are for the rows.
        score: what the values are.
    """
    tasks = list(next(iter(values.values())))
    columns = math.ceil(len(tasks) / max(1, height))
    grid = Table.grid(padding=(0, 3))
    rows_each = math.ceil(len(tasks) / columns)
    blocks = [tasks[start : start + rows_each] for start in range(0, len(tasks), rows_each)]
    grid.add_row(*(_block(block, values, score, brief=columns > 1) for block in blocks))
    return grid


def _block(tasks: list[str], values: Values, score: Score, *, brief: bool) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 1))
    table.add_column("task")
    seeds = list(values)
    each = len(seeds) > 1 and not brief and len(seeds) <= _MOST_SEEDS
    for seed in seeds if each else ():
        table.add_column(f"seed {seed}", justify="right")
    table.add_column(score.name if len(seeds) == 1 else "mean", justify="right")
    table.add_column("" if len(seeds) == 1 or brief else "range")
    for task in tasks:
        known = [rate for rates in values.values() if (rate := rates[task]) is not None]
        mean = sum(known) / len(known) if known else None
        own = [_number(values[seed][task], score) for seed in seeds] if each else []
        table.add_row(task, *own, _number(mean, score), _end(known, mean, score, is_range=len(seeds) > 1, brief=brief))
    return table


def _end(known: list[float], mean: float | None, score: Score, *, is_range: bool, brief: bool) -> RenderableType:
    """A row's last cell: a bar for one seed, the seeds' range for several."""
    if brief or mean is None:
        return ""
    if is_range:
        return f"{min(known):{score.form}} to {max(known):{score.form}}"
    return "" if not score.is_share else ProgressBar(total=1.0, completed=mean, width=_BAR_WIDTH)


def _number(value: float | None, score: Score) -> str:
    return NOTHING if value is None else f"{value:{score.form}}"
