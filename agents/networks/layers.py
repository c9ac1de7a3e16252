"""Layers, as functions of one task's rows `[B, I]`, and what they read.

A layer's parameters lie under its name. Shared weights are on the tape of `mtrl.gradients.linear`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Generator, Tensor
from torch.nn import functional

from mtrl.agents.networks.parameters import NetworkParameters, Part, init_all, orthogonal
from mtrl.gradients import Parameters, Tape, linear

RELU_GAIN = 2**0.5


class Forward(NamedTuple):
    """Tape, parameters and precision of a forward pass of one task."""

    tape: Tape
    """See `mtrl.gradients.linear`."""
    shared: Parameters
    own: Parameters
    """The task's slice."""
    precision: torch.dtype
    """Number format of the matrix products."""


class Layer(Part, Protocol):
    """A part that maps rows to rows."""

    def __call__(self, forward: Forward, x: Tensor) -> Tensor:
        """`[B, I]` to `[B, O]`."""


@dataclass(frozen=True)
class Linear:
    """A linear layer that tasks share: orthogonal weights, zero biases."""

    name: str
    num_inputs: int
    num_outputs: int
    gain: float = RELU_GAIN

    def init(self, num_tasks: int, generator: Generator) -> NetworkParameters:
        """See `Part`."""
        weight = orthogonal(self.num_inputs, self.num_outputs, self.gain, generator)
        return NetworkParameters(
            {f"{self.name}.weight": weight, f"{self.name}.bias": torch.zeros(1, self.num_outputs, dtype=torch.float32)},
            {},
        )

    def __call__(self, forward: Forward, x: Tensor) -> Tensor:
        """See `Layer`."""
        return linear(forward.shared, self.name, x, forward.tape, forward.precision)


@dataclass(frozen=True)
class LayerNorm:
    """Layer normalisation with a learned scale and shift that tasks share (Ba et al. 2016)."""

    name: str
    size: int

    def init(self, num_tasks: int, generator: Generator) -> NetworkParameters:
        """See `Part`."""
        gain, shift = torch.ones(1, self.size, dtype=torch.float32), torch.zeros(1, self.size, dtype=torch.float32)
        return NetworkParameters({f"{self.name}.gain": gain, f"{self.name}.shift": shift}, {})

    def __call__(self, forward: Forward, x: Tensor) -> Tensor:
        """See `Layer`."""
        gain, shift = forward.shared[f"{self.name}.gain"], forward.shared[f"{self.name}.shift"]
        return functional.layer_norm(x, x.shape[-1:]) * gain + shift


@dataclass(frozen=True)
class Chain:
    """Layers, one after the other."""

    layers: Sequence[Layer]

    def init(self, num_tasks: int, generator: Generator) -> NetworkParameters:
        """See `Part`."""
        return init_all(self.layers, num_tasks, generator)

    def __call__(self, forward: Forward, x: Tensor) -> Tensor:
        """See `Layer`."""
        for layer in self.layers:
            x = layer(forward, x)
        return x
