"""What happened inside a training, read off its `train` events.

Axes: `N` events, `T` tasks. What an event does not tell is NaN.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mtrl.runs.reading import Record

Array = NDArray[np.float64]
Counted = Literal["step", "epoch"]

SHARED = "shared"
"""The one component of supervised learning."""


@dataclass(frozen=True)
class Component:
    """The gradients of one component, the critic's say, and what the method made of them."""

    weights: Array
    """`[N, T]`."""
    gradient_norm: Array
    """`[N, T]`."""
    conflict_rate: Array
    """`[N]`."""
    cosines: Array | None
    """`[N, T, T]`; None where they are not logged."""


@dataclass(frozen=True)
class History:
    """What a run has logged of its gradients, weights, temperatures and time."""

    tasks: tuple[str, ...]
    steps: NDArray[np.int64]
    """`[N]`; epochs of a supervised run."""
    wall_s: Array
    """`[N]`."""
    temperature: Array
    """`[N, T]`."""
    components: Mapping[str, Component]
    time_share: Mapping[str, float]
    """Of the whole wall time; empty where it is not logged."""


def read_history(records: Sequence[Record], tasks: tuple[str, ...], step: Counted = "step") -> History:
    """The history that the `train` events of a run tell.

    Args:
        records: these events.
        tasks: names.
        step: key of what is counted.

    Raises:
        KeyError, TypeError, ValueError: an event is not as training writes it.
    """
    wall_s = np.array([record["wall_s"] for record in records], dtype=np.float64)
    return History(
        tasks=tasks,
        steps=np.array([record[step] for record in records], dtype=np.int64),
        wall_s=wall_s,
        temperature=_per_task([record.get("temperature") for record in records], tasks),
        components={name: _component(records, name, tasks) for name in _component_names(records)},
        time_share=_time_share(records, wall_s),
    )


def _component_names(records: Sequence[Record]) -> list[str]:
    """The components that the first event with gradients names; a single one if the event's values are of tasks."""
    of_components = next((record["gradient_norm"] for record in records if record.get("gradient_norm")), None)
    if of_components is None:
        return []
    nested = isinstance(next(iter(of_components.values())), Mapping)
    return [*of_components] if nested else [SHARED]


def _component(records: Sequence[Record], name: str, tasks: tuple[str, ...]) -> Component:
    def values(key: str) -> list[Any]:
        return [record.get(key) if name == SHARED else record.get(key, {}).get(name) for record in records]

    cosines = values("cosines")
    unknown = np.full((len(tasks), len(tasks)), np.nan)
    return Component(
        weights=_per_task(values("weights"), tasks),
        gradient_norm=_per_task(values("gradient_norm"), tasks),
        conflict_rate=np.array(values("conflict_rate"), dtype=np.float64),
        cosines=np.array([unknown if c is None else np.array(c, dtype=np.float64) for c in cosines])
        if any(c is not None for c in cosines)
        else None,
    )


def _per_task(values: Sequence[Record | None], tasks: tuple[str, ...]) -> Array:
    rows = [[np.nan if value is None else value.get(task) for task in tasks] for value in values]
    return np.array(rows, dtype=np.float64).reshape(len(values), len(tasks))


def _time_share(records: Sequence[Record], wall_s: Array) -> dict[str, float]:
    """Shares of single events, weighted by their length; a resumed run's clock may go back."""
    lengths = np.clip(np.diff(wall_s, prepend=0.0), 0, None)
    timed = [
        (record["time_share"], length)
        for record, length in zip(records, lengths, strict=True)
        if "time_share" in record
    ]
    total = sum(length for _, length in timed)
    if not total:
        return {}
    parts = dict.fromkeys(part for shares, _ in timed for part in shares)
    return {part: sum(shares.get(part, 0.0) * length for shares, length in timed) / total for part in parts}
