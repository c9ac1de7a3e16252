"""Layers that know their task: parameters for each task, `[T, ...]`, of which a forward pass sees its task's slice."""

from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Generator, Tensor
from torch.nn import functional

from mtrl.agents.networks.layers import RELU_GAIN, Chain, Forward, Layer, LayerNorm, Linear
from mtrl.agents.networks.parameters import NetworkParameters, orthogonal


def _unit_vectors(num_tasks: int, size: int, generator: Generator) -> Tensor:
    """A random vector of norm one for each task, `[T, 1, size]`."""
    return functional.normalize(torch.randn(num_tasks, 1, size, generator=generator, dtype=torch.float32), dim=-1)


@dataclass(frozen=True)
class OwnLinear:
    """A linear layer for each task."""

    name: str
    num_inputs: int
    num_outputs: int
    gain: float = RELU_GAIN

    def init(self, num_tasks: int, generator: Generator) -> NetworkParameters:
        """See `Part`."""
        weights = [orthogonal(self.num_inputs, self.num_outputs, self.gain, generator) for _ in range(num_tasks)]
        bias = torch.zeros(num_tasks, 1, self.num_outputs, dtype=torch.float32)
        return NetworkParameters({}, {f"{self.name}.weight": torch.stack(weights), f"{self.name}.bias": bias})

    def __call__(self, forward: Forward, x: Tensor) -> Tensor:
        """See `Layer`."""
        weight, bias = forward.own[f"{self.name}.weight"], forward.own[f"{self.name}.bias"]
        return (x.to(forward.precision) @ weight.to(forward.precision)).to(bias.dtype) + bias


@dataclass(frozen=True)
class FiLM:
    """A scale and a shift of every unit for each task; the identity at first (Perez et al. 2018, eq. 2).

    Paper: a network makes them of what conditions; here they are parameters, because a task is only its index.
    """

    name: str
    size: int

    def init(self, num_tasks: int, generator: Generator) -> NetworkParameters:
        """See `Part`."""
        scale, shift = torch.zeros(2, num_tasks, 1, self.size, dtype=torch.float32).unbind()
        return NetworkParameters({}, {f"{self.name}.film_scale": scale, f"{self.name}.film_shift": shift})

    def __call__(self, forward: Forward, x: Tensor) -> Tensor:
        """See `Layer`."""
        scale, shift = forward.own[f"{self.name}.film_scale"], forward.own[f"{self.name}.film_shift"]
        return (1 + scale) * x + shift


@dataclass(frozen=True)
class OneHotRow:
    """Adds what a one-hot input would to a linear layer's output: the one row of its weights that the task selects."""

    name: str
    size: int

    def init(self, num_tasks: int, generator: Generator) -> NetworkParameters:
        """See `Part`."""
        row = RELU_GAIN * _unit_vectors(num_tasks, self.size, generator)  # as long as a row of an orthogonal weight
        return NetworkParameters({}, {f"{self.name}.one_hot": row})

    def __call__(self, forward: Forward, x: Tensor) -> Tensor:
        """See `Layer`."""
        return x + forward.own[f"{self.name}.one_hot"]


@dataclass(frozen=True)
class TaskVector:
    """A learned vector for each task, at first of this norm (BRC, Nauman et al. 2025: one)."""

    name: str
    size: int
    norm: float = 1.0

    def init(self, num_tasks: int, generator: Generator) -> NetworkParameters:
        """See `Part`."""
        return NetworkParameters({}, {self.name: self.norm * _unit_vectors(num_tasks, self.size, generator)})

    def __call__(self, forward: Forward) -> Tensor:
        """The vector of the task, `[1, size]`."""
        return forward.own[self.name]


class MakeLinear(Protocol):
    """Makes a linear layer."""

    def __call__(self, name: str, num_inputs: int, num_outputs: int, gain: float = RELU_GAIN) -> Layer:
        """See `Linear`."""


@dataclass(frozen=True)
class HiddenLayers:
    """Makes the hidden layers of one network, up to their activation.

    Attributes:
        encoding: of the task, see `ConditioningConfig`; an embedding is joined to the input elsewhere.
        linear: makes the linear part.
    """

    encoding: Literal["none", "one_hot", "embedding", "film"]
    linear: MakeLinear = Linear

    def __call__(
        self, name: str, num_inputs: int, num_outputs: int, *, first: bool = False, norm: bool = False
    ) -> Chain:
        """A linear layer, LayerNorm with `norm`, and what tells it the task.

        Args:
            name: of the layer.
            num_inputs: of the linear part.
            num_outputs: likewise.
            first: whether the layer reads the network's input.
            norm: normalise the outputs.
        """
        layers: list[Layer] = [self.linear(name, num_inputs, num_outputs)]
        if first and self.encoding == "one_hot":
            layers.append(OneHotRow(name, num_outputs))
        if norm:
            layers.append(LayerNorm(name, num_outputs))
        if self.encoding == "film":
            layers.append(FiLM(name, num_outputs))
        return Chain(layers)
