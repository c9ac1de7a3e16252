"""Parameters by name, and what has some."""

from collections.abc import Iterable
from typing import NamedTuple, Protocol

import torch
from torch import Generator, Tensor


class NetworkParameters(NamedTuple):
    """The parameters of a network."""

    shared: dict[str, Tensor]
    """Of all tasks."""
    own: dict[str, Tensor]
    """`[T, ...]`, one slice a task."""

    def tensors(self) -> list[Tensor]:
        """All of them, in a fixed order."""
        return [*self.shared.values(), *self.own.values()]


class Part(Protocol):
    """A piece of a network: a pure function of named parameters, whose values it does not hold."""

    def init(self, num_tasks: int, generator: Generator) -> NetworkParameters:
        """First values."""


def init_all(parts: Iterable[Part], num_tasks: int, generator: Generator) -> NetworkParameters:
    """First values of all parts, in order."""
    every = [part.init(num_tasks, generator) for part in parts]
    shared, own = ({name: t for group in groups for name, t in group.items()} for groups in zip(*every, strict=True))
    return NetworkParameters(shared, own)


def orthogonal(num_inputs: int, num_outputs: int, gain: float, generator: Generator) -> Tensor:
    """A weight `[num_inputs, num_outputs]` with orthogonal rows or columns of norm `gain`."""
    weight = torch.empty(num_inputs, num_outputs)
    return torch.nn.init.orthogonal_(weight, gain, generator=generator)
