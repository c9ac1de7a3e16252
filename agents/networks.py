"""Networks as pure functions of named parameters: a shared trunk, and for every task a head and an embedding.

Axes: `T` tasks, `B` rows. The parameters of one network are `shared` (all tasks) and `own` (`[T, ...]`, one slice a
task); the functions are written for one task and lifted over the task axis by `mtrl.gradients`.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Generator, Tensor
from torch.nn import functional

from agents.config import NetworkConfig
from mtrl.gradients import Parameters, Tape, linear


class NetworkParameters(NamedTuple):
    """The parameters of a network."""

    shared: dict[str, Tensor]
    own: dict[str, Tensor]

    def tensors(self) -> list[Tensor]:
        """All of them, in a fixed order."""
        return [*self.shared.values(), *self.own.values()]


@dataclass(frozen=True)
class Network:
    """A trunk with a linear head and a learned embedding per task.

    Attributes:
        config: of the trunk.
        num_inputs: size of the input that tasks share.
        num_outputs: of each head.
        embedding_size: of the vector of each task that is joined to the input; 0 for none.
        head_gain: scale of the heads' first weights.
        precision: of the matrix products.
        prefix: of the parameters' names.
    """

    config: NetworkConfig
    num_inputs: int
    num_outputs: int
    embedding_size: int
    head_gain: float
    precision: torch.dtype
    prefix: str = ""

    def init(self, num_tasks: int, generator: Generator) -> NetworkParameters:
        """First parameters: orthogonal weights, zero biases, embeddings of norm one (BRC, Nauman et al. 2025)."""
        width, prefix = self.config.width, self.prefix
        shared: dict[str, Tensor] = {}
        num_inputs = self.num_inputs + self.embedding_size
        for name in self._layers():
            shared[f"{prefix}{name}.weight"] = _orthogonal(num_inputs, width, 2**0.5, generator)
            shared[f"{prefix}{name}.bias"] = torch.zeros(1, width)
            if self.config.kind == "residual":
                shared[f"{prefix}{name}.gain"] = torch.ones(1, width)
                shared[f"{prefix}{name}.shift"] = torch.zeros(1, width)
            num_inputs = width
        heads = [_orthogonal(width, self.num_outputs, self.head_gain, generator) for _ in range(num_tasks)]
        own = {
            f"{prefix}head.weight": torch.stack(heads),
            f"{prefix}head.bias": torch.zeros(num_tasks, 1, self.num_outputs),
        }
        if self.embedding_size:
            embedding = torch.randn(num_tasks, 1, self.embedding_size, generator=generator)
            own[f"{prefix}embedding"] = functional.normalize(embedding, dim=-1)
        return NetworkParameters(shared, own)

    def __call__(self, tape: Tape, shared: Parameters, own: Parameters, x: Tensor) -> Tensor:
        """Outputs of one task.

        Args:
            tape: see `mtrl.gradients.linear`.
            shared: parameters of the trunk.
            own: the task's slice of the own parameters.
            x: `[B, num_inputs]`.

        Returns:
            `[B, num_outputs]`, float32.
        """
        if self.embedding_size:
            x = torch.cat([x, own[f"{self.prefix}embedding"].expand(x.shape[0], -1)], -1)
        first, *others = self._layers()
        hidden = functional.relu(self._layer(tape, shared, first, x))
        if self.config.kind == "mlp":
            for name in others:
                hidden = functional.relu(self._layer(tape, shared, name, hidden))
        else:
            for inner, outer in zip(others[::2], others[1::2], strict=True):
                branch = functional.relu(self._layer(tape, shared, inner, hidden))
                hidden = hidden + self._layer(tape, shared, outer, branch)
        weight, bias = own[f"{self.prefix}head.weight"], own[f"{self.prefix}head.bias"]
        return (hidden.to(self.precision) @ weight.to(self.precision)).to(bias.dtype) + bias

    def _layers(self) -> list[str]:
        count = self.config.depth if self.config.kind == "mlp" else 1 + 2 * self.config.depth
        return [f"layer{i}" for i in range(count)]

    def _layer(self, tape: Tape, shared: Parameters, name: str, x: Tensor) -> Tensor:
        name = self.prefix + name
        y = linear(shared, name, x, tape, self.precision)
        if self.config.kind == "mlp":
            return y
        return functional.layer_norm(y, y.shape[-1:]) * shared[f"{name}.gain"] + shared[f"{name}.shift"]


def _orthogonal(num_inputs: int, num_outputs: int, gain: float, generator: Generator) -> Tensor:
    weight = torch.empty(num_inputs, num_outputs)
    return torch.nn.init.orthogonal_(weight, gain, generator=generator)


@dataclass(frozen=True)
class TwinCritic:
    """Two networks of observation and action that differ in their first parameters alone (Fujimoto et al. 2018)."""

    networks: tuple[Network, Network]

    def init(self, num_tasks: int, generator: Generator) -> NetworkParameters:
        """First parameters of both."""
        first, second = (network.init(num_tasks, generator) for network in self.networks)
        return NetworkParameters({**first.shared, **second.shared}, {**first.own, **second.own})

    def __call__(
        self, tape: Tape, shared: Parameters, own: Parameters, observation: Tensor, action: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Outputs of both for one task, `[B, num_outputs]` each."""
        x = torch.cat([observation, action], -1)
        first, second = (network(tape, shared, own, x) for network in self.networks)
        return first, second
