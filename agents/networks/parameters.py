"""Parameters by name, and what has some."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

import torch
from torch import Generator, Tensor

from mtrl.gradients import by_task


class NetworkParameters(NamedTuple):
    """The parameters of a network."""

    shared: dict[str, Tensor]
    """Parameters of all tasks, by name."""
    own: dict[str, Tensor]
    """Parameters of single tasks, by name: `[T, ...]`, one slice a task."""

    def tensors(self) -> list[Tensor]:
        """All of them, in a fixed order."""
        return [*self.shared.values(), *self.own.values()]

    def of_tasks(self, num_tasks: int) -> "NetworkParameters":
        """These parameters, the shared ones as `mtrl.gradients.over_tasks` takes them."""
        return NetworkParameters(by_task(self.shared, num_tasks), self.own)


class Layout:
    """The order of a network's parameters in one vector of all of them, `[..., P]`: the shared ones first.

    Args:
        parameters: whose names and shapes these are, without leading axes.
        task_axis: of own parameters: 1 of two networks side by side, whose are `[2, T, ...]`.
    """

    def __init__(self, parameters: NetworkParameters, task_axis: int = 0) -> None:
        self._shapes = tuple({name: t.shape for name, t in group.items()} for group in parameters)
        self._task_axis = task_axis
        self.num_shared = sum(shape.numel() for shape in self._shapes[0].values())

    def flatten(self, parameters: NetworkParameters, leading: int = 0) -> Tensor:
        """`[..., P]`, of parameters with so many leading axes."""
        groups = zip(self._shapes, parameters, strict=True)
        return torch.cat([group[name].flatten(leading) for shapes, group in groups for name in shapes], -1)

    def views(self, flat: Tensor, tasks: slice | None = None) -> NetworkParameters:
        """The parameters in a vector `[..., P]`, as views `[..., *shape]`; the own ones of some tasks alone."""
        parts = iter(flat.split([shape.numel() for shapes in self._shapes for shape in shapes.values()], -1))
        shared, own = (
            {name: next(parts).unflatten(-1, shape) for name, shape in shapes.items()} for shapes in self._shapes
        )
        if tasks is not None:
            axis, count = flat.ndim - 1 + self._task_axis, tasks.stop - tasks.start
            own = {name: t.narrow(axis, tasks.start, count) for name, t in own.items()}
        return NetworkParameters(shared, own)

    def shared_views(self, flat: Tensor) -> dict[str, Tensor]:
        """Tensors of the shared parameters' shapes in one `[..., their number]`, as views `[..., *shape]`."""
        parts = flat.split([shape.numel() for shape in self._shapes[0].values()], -1)
        return {n: part.unflatten(-1, shape) for (n, shape), part in zip(self._shapes[0].items(), parts, strict=True)}

    def own_rows(self, own: Mapping[str, Tensor]) -> list[Tensor]:
        """Tensors of the own parameters' shapes, of any tasks, with one leading axis: `[S, T, N]` of each."""
        return [own[name].movedim(1 + self._task_axis, 1).flatten(2) for name in self._shapes[1]]

    def own_parts(self, rows: Tensor) -> list[Tensor]:
        """What `own_rows` made of all tasks, joined, as it stands in the vector of all parameters: `[S, T N]` each."""
        axis, found, start = self._task_axis, [], 0
        for shape in self._shapes[1].values():
            of_task = shape[:axis] + shape[axis + 1 :]
            part = rows[..., start : start + of_task.numel()].unflatten(-1, of_task)
            found.append(part.movedim(1, 1 + axis).flatten(1))
            start += of_task.numel()
        return found


class Part(Protocol):
    """A piece of a network: a pure function of named parameters, whose values it does not hold."""

    def init(self, num_tasks: int, generator: Generator) -> NetworkParameters:
        """First values of the parameters, drawn from the generator."""


def init_all(parts: Iterable[Part], num_tasks: int, generator: Generator) -> NetworkParameters:
    """First values of all parts, in order."""
    every = [part.init(num_tasks, generator) for part in parts]
    shared, own = ({name: t for group in groups for name, t in group.items()} for groups in zip(*every, strict=True))
    return NetworkParameters(shared, own)


def orthogonal(num_inputs: int, num_outputs: int, gain: float, generator: Generator) -> Tensor:
    """A weight `[num_inputs, num_outputs]` with orthogonal rows or columns of norm `gain`."""
    weight = torch.empty(num_inputs, num_outputs, dtype=torch.float32)
    return torch.nn.init.orthogonal_(weight, gain, generator=generator)
