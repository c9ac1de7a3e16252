"""The state of some of a method's tasks: what a call that has only these sees and moves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from mtrl.aggregation.method import Method
from mtrl.aggregation.solvers.per_task import Numbers, check_number


def places(method: nn.Module, names: Sequence[str] | None, number: int) -> tuple[list[int], int]:
    """Where in a method's state the tasks of a call are, and for how many tasks there is room then.

    Args:
        method: learns the names that it does not know.
        names: of the tasks; None: they go by their places.
        number: of the tasks.

    Raises:
        ValueError: the names are not one for each task, or the method has so far been used with other numbers of
            tasks, or with names where there are none.
    """
    known = getattr(method, "task_names", None)
    if names is None:
        if known is not None:
            raise ValueError(f"{method} has been used with named tasks, {list(known)}: tasks needs to name these, too")
        _check_size(method, number)
        return list(range(number)), number
    if isinstance(names, str) or len(names) != number or not all(isinstance(name, str) for name in names):
        raise ValueError(f"tasks needs a name for each of the {number} losses, got {names!r}")
    if len(set(names)) < number:
        raise ValueError(f"tasks needs names that differ, got {list(names)}")
    if not isinstance(method, Method):
        return list(range(number)), number
    if known is None:
        _check_size(method, number)
    method.task_names = known = (*(known or ()), *(name for name in names if name not in (known or ())))
    return [known.index(name) for name in names], len(known)


@contextmanager
def of_tasks(method: nn.Module, index: Sequence[int], total: int) -> Iterator[None]:
    """Within, the method's state and its numbers per task are those of some tasks; that of the others stays.

    Args:
        method: a call of which has not more leading axes than the task axes.
        index: of the tasks, in the order of the call.
        total: number of tasks that there is state for; new ones begin as in a first call.
    """
    if not isinstance(method, Method) or (list(index) == list(range(total)) and _size(method) in (None, total)):
        yield
        return
    whole = {name: getattr(method, name) for name in method.task_axes}
    given = {name: value for name, value in vars(method).items() if isinstance(value, Numbers)}
    for name, values in given.items():
        check_number(type(method).__name__, name, values, total)
    try:
        for name, values in given.items():
            setattr(method, name, Numbers(values[i] for i in index))
        for name, value in whole.items():
            if value is not None:
                setattr(
                    method, name, _taken(_grown(value, method.task_axes[name], total), method.task_axes[name], index)
                )
        yield
        for name, axes in method.task_axes.items():
            whole[name] = _put(whole[name], getattr(method, name), axes, index, total)
    finally:
        for name, kept in (given | whole).items():
            setattr(method, name, kept)


def _size(method: nn.Module) -> int | None:
    """Number of the tasks that there is state for; None without any."""
    for name, axes in getattr(method, "task_axes", {}).items():
        value = getattr(method, name)
        if value is not None and axes:
            return int(value.shape[axes[0]])
    held = getattr(method, "held_weights", None)
    return None if held is None else len(held)


def _check_size(method: nn.Module, number: int) -> None:
    size = _size(method)
    if size not in (None, number):
        raise ValueError(
            f"{method} has been used with {size} tasks, got {number}: say which by tasks=[names] from the first "
            "call on, or give None for the loss of an absent one"
        )


def _grown(value: Tensor, axes: Sequence[int], total: int) -> Tensor:
    shape = list(value.shape)
    for axis in axes:
        shape[axis] = max(total, shape[axis])
    if shape == list(value.shape):
        return value
    grown = value.new_full(shape, torch.nan)
    grown[tuple(slice(size) for size in value.shape)] = value
    return grown


def _taken(value: Tensor, axes: Sequence[int], index: Sequence[int]) -> Tensor:
    if not axes:
        return value
    places = torch.tensor(index, device=value.device)
    for axis in axes:
        value = value.index_select(axis, places)
    return value


def _put(
    whole: Tensor | None, part: Tensor | None, axes: Sequence[int], index: Sequence[int], total: int
) -> Tensor | None:
    """The whole state with what became of a part of it."""
    if part is None or not axes:
        return part
    shape = list(part.shape)
    for axis in axes:
        shape[axis] = total
    whole = part.new_full(shape, torch.nan) if whole is None else _grown(whole, axes, total).clone()
    at: list[slice | Tensor] = [slice(None)] * part.ndim
    places = torch.tensor(index, device=part.device)
    for number, axis in enumerate(axes):
        at[axis] = places.view(-1, *[1] * (len(axes) - 1 - number))
    whole[tuple(at)] = part
    return whole
