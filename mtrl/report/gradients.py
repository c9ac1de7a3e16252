"""What the gradients did, as tables.

Axes: `N` points, `T` tasks.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtrl.report.runs import Group
from mtrl.report.table import Cell, Column, Table, number, rate, signed

Array = NDArray[np.float64]


def components_of(groups: Sequence[Group[Any]]) -> list[str]:
    """The names of the components that any of the groups has logged."""
    return [*dict.fromkeys(name for group in groups for run in group.histories for name in run.components)]


def gradient_table(groups: Sequence[Group[Any]]) -> Table | None:
    """Conflicts, norms and weights: one line per method and component."""
    columns = [
        Column("run", "method"),
        Column("component", "component"),
        Column("conflict_rate", "conflict rate", rate),
        Column("cosine", "mean cosine", signed),
        Column("norm_ratio", "norm, largest / smallest", number),
        Column("weight_ratio", "weight, largest / smallest", number),
    ]
    rows = [row for group in groups for row in _rows(group)]
    note = (
        "Mean over training and seeds; ratios: median. Conflict rate: share of task pairs whose gradients have a "
        "negative inner product. Cosine: of all pairs. Ratios: between the tasks at one moment."
    )
    return Table("gradients", "Conflicts, norms and weights", columns, rows, [note]) if rows else None


def time_table(groups: Sequence[Group[Any]]) -> Table | None:
    """Where the wall time went, mean over seeds."""
    parts = [*dict.fromkeys(part for group in groups for run in group.histories for part in run.time_share)]
    if not parts:
        return None
    parts.sort(key=lambda part: part == "other")  # last
    columns = [Column("run", "method"), *(Column(part, part, rate, is_shaded=True) for part in parts)]
    rows = [(group.name, *(_mean_share(group, part) for part in parts)) for group in groups]
    return Table("time", "Where the wall time went", columns, rows, ["Share of the wall time of training."])


def _rows(group: Group[Any]) -> Iterator[Sequence[Cell]]:
    has_conflicts = not group.is_single_task
    for name in components_of([group]):
        of_runs = [run.components[name] for run in group.histories if name in run.components]
        pairs = np.triu_indices(len(group.histories[0].tasks), 1)
        cosines = [c.cosines[:, *pairs].ravel() for c in of_runs if c.cosines is not None]
        yield (
            group.name,
            name,
            _known(np.nanmean, [c.conflict_rate for c in of_runs]) if has_conflicts else None,
            _known(np.nanmean, cosines) if has_conflicts else None,
            _known(np.nanmedian, [_ratio(c.gradient_norm) for c in of_runs]),
            _known(np.nanmedian, [_ratio(c.weights) for c in of_runs]),
        )


def _ratio(values: Array) -> Array:
    """Largest over smallest of `[N, T]`; NaN where the smallest is not positive."""
    smallest = values.min(axis=1)
    return np.divide(values.max(axis=1), smallest, out=np.full(len(values), np.nan), where=smallest > 0)


def _known(statistic: Callable[[Array], np.floating], values: Sequence[Array]) -> float | None:
    together = np.concatenate(values) if values else np.empty(0)
    return None if np.isnan(together).all() else float(statistic(together))


def _mean_share(group: Group[Any], part: str) -> float | None:
    shares = [run.time_share.get(part, 0.0) for run in group.histories if run.time_share]
    return float(np.mean(shares)) if shares else None
