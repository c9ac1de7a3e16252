"""A trunk with heads, and what tells it the task; two of them as twin critics."""

from __future__ import annotations  # evaluated annotations of inner functions break compiled graphs

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Generator, Tensor
from torch.func import vmap

from mtrl.agents.networks import own_trunk
from mtrl.agents.networks.care import Care
from mtrl.agents.networks.conditioning import HiddenLayers, OwnLinear, TaskVector
from mtrl.agents.networks.feed_forward import MLP, Residual, SimBa
from mtrl.agents.networks.layers import Forward, Layer, Linear
from mtrl.agents.networks.moore import Moore
from mtrl.agents.networks.network_config import ConditioningConfig, NetworkConfig
from mtrl.agents.networks.paco import PaCo
from mtrl.agents.networks.parameters import NetworkParameters, init_all
from mtrl.agents.networks.soft_modular import SoftModular
from mtrl.gradients import Parameters, Tape, over_tasks


class Trunk(Layer, Protocol):
    """Everything between a network's input and its head."""

    num_outputs: int


@dataclass(frozen=True)
class Network:
    """A pure function of named parameters, written for one task.

    Attributes:
        trunk: from the input, and the embedding where there is one, to features.
        head: from the features to the outputs.
        embedding: a vector of the task that is joined to the input.
        precision: of the matrix products.
    """

    trunk: Trunk
    head: Layer
    embedding: TaskVector | None
    precision: torch.dtype

    def init(self, num_tasks: int, generator: Generator) -> NetworkParameters:
        """First parameters."""
        embedding = [self.embedding] if self.embedding else []
        return init_all([self.trunk, self.head, *embedding], num_tasks, generator)

    def __call__(self, tape: Tape, shared: Parameters, own: Parameters, x: Tensor) -> Tensor:
        """Outputs of one task.

        Args:
            tape: see `mtrl.gradients.linear`.
            shared: parameters of all tasks.
            own: the task's slice of the own parameters.
            x: `[B, num_inputs]`.

        Returns:
            `[B, num_outputs]`, float32.
        """
        forward = Forward(tape, shared, own, self.precision)
        if self.embedding:
            x = torch.cat([x, self.embedding(forward).expand(x.shape[0], -1)], -1)  # [B, num_inputs + embedding size]
        return self.head(forward, self.trunk(forward, x))


@dataclass(frozen=True)
class TwinCritic:
    """Two networks of observation and action that differ in their first parameters alone (Fujimoto et al. 2018).

    Their parameters have an axis more, `[2, ...]`, each task's own `[2, T, ...]`.
    """

    network: Network

    def init(self, num_tasks: int, generator: Generator) -> NetworkParameters:
        """First parameters of both."""
        twins = [self.network.init(num_tasks, generator) for _ in range(2)]
        shared, own = (
            {name: torch.stack([group[name] for group in groups]) for name in groups[0]}
            for groups in zip(*twins, strict=True)
        )
        return NetworkParameters(shared, own)

    def __call__(self, tape: Tape, shared: Parameters, own: Parameters, observation: Tensor, action: Tensor) -> Tensor:
        """Outputs of both for all tasks, `[2, T, B, num_outputs]`.

        Args:
            tape: see `mtrl.gradients.linear`.
            shared: as `mtrl.gradients.by_task` gives them.
            own: `[2, T, ...]`.
            observation: `[T, B, O]`.
            action: `[T, B, A]`.
        """
        x = torch.cat([observation, action], -1)  # [T, B, O + A]

        def of_one_critic(shared: Parameters, own: Parameters) -> tuple[Tensor, Tape]:
            inputs: Tape = {}
            return over_tasks(self.network)(inputs, shared, own, x), inputs

        outputs, inputs = vmap(of_one_critic)(shared, own)  # [2, T, B, N], and of each layer [2, T, B, I]
        tape.update(inputs)
        return outputs


def make_network(
    config: NetworkConfig,
    conditioning: ConditioningConfig,
    num_inputs: int,
    num_outputs: int,
    head_gain: float,
    precision: torch.dtype,
) -> Network:
    """The network that a configuration describes.

    Args:
        config: of the trunk.
        conditioning: of the network on the task.
        num_inputs: size of what it observes.
        num_outputs: of the head.
        head_gain: scale of the head's first weights.
        precision: of the matrix products.
    """
    embedding = None
    if conditioning.encoding == "embedding":
        embedding = TaskVector("embedding", conditioning.embedding_size)
    hidden = HiddenLayers(conditioning.encoding)
    trunk = _make_trunk(config, hidden, num_inputs + (embedding.size if embedding else 0))
    composed = trunk.linear if isinstance(trunk, PaCo) else Linear  # PaCo's only head is of its parameter sets too
    head = (OwnLinear if conditioning.heads else composed)("head", trunk.num_outputs, num_outputs, head_gain)
    return Network(trunk, head, embedding, precision)


def _make_trunk(config: NetworkConfig, hidden: HiddenLayers, num_inputs: int) -> Trunk:
    """The trunk of this configuration, for inputs of this size."""
    size = num_inputs, config.width, config.depth
    match config.kind:
        case "mlp":
            return MLP(hidden, *size)
        case "residual":
            return Residual(hidden, *size)
        case "simba":
            return SimBa(hidden, *size)
        case "soft_modular":
            return SoftModular(hidden, *size, config.experts, config.encoder_size)
        case "care":
            return Care(hidden, *size, config.experts, config.encoder_size)
        case "paco":
            return PaCo(hidden, *size, config.experts)
        case "moore":
            return Moore(hidden, *size, config.experts)
        case _:
            given = {"hidden": hidden, "num_inputs": num_inputs, "width": config.width, "depth": config.depth}
            trunk: Trunk = own_trunk.make(config.kind, given, config.optional)
            return trunk
