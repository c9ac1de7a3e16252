"""A small table of tasks with success so far, for the screen."""

import math
from collections.abc import Mapping

from rich.console import RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table

from mtrl.report.table import NOTHING

Success = Mapping[int, Mapping[str, float | None]]
"""Of each seed, by task; None before the first episode has ended."""

_MOST_SEEDS = 8  # side by side; of more, mean and range are shown
_BAR_WIDTH = 12


def success_table(success: Success, height: int) -> Table:
    """A row a task, a column a seed; several tasks beside each other if they are too many for the height.

    Args:
        success: of one seed at least.
        height: lines that there are for the rows.
    """
    tasks = list(next(iter(success.values())))
    columns = math.ceil(len(tasks) / max(1, height))
    grid = Table.grid(padding=(0, 3))
    rows_each = math.ceil(len(tasks) / columns)
    blocks = [tasks[start : start + rows_each] for start in range(0, len(tasks), rows_each)]
    grid.add_row(*(_block(block, success, brief=columns > 1) for block in blocks))
    return grid


def _block(tasks: list[str], success: Success, *, brief: bool) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 1))
    table.add_column("task")
    seeds = list(success)
    each = len(seeds) > 1 and not brief and len(seeds) <= _MOST_SEEDS
    for seed in seeds if each else ():
        table.add_column(f"seed {seed}", justify="right")
    table.add_column("success" if len(seeds) == 1 else "mean", justify="right")
    table.add_column("" if len(seeds) == 1 or brief else "range")
    for task in tasks:
        known = [rate for rates in success.values() if (rate := rates[task]) is not None]
        mean = sum(known) / len(known) if known else None
        own = [_number(success[seed][task]) for seed in seeds] if each else []
        table.add_row(task, *own, _number(mean), _end(known, mean, is_range=len(seeds) > 1, brief=brief))
    return table


def _end(known: list[float], mean: float | None, *, is_range: bool, brief: bool) -> RenderableType:
    """A row's last cell: a bar for one seed, the seeds' range for several."""
    if brief or mean is None:
        return ""
    if is_range:
        return f"{min(known):.2f} to {max(known):.2f}"
    return ProgressBar(total=1.0, completed=mean, width=_BAR_WIDTH)


def _number(rate: float | None) -> str:
    return NOTHING if rate is None else f"{rate:.2f}"
