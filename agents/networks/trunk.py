"""Which trunk a configuration names."""

from typing import Protocol

from mtrl.agents.networks.care import Care
from mtrl.agents.networks.conditioning import HiddenLayers
from mtrl.agents.networks.config import NetworkConfig
from mtrl.agents.networks.layers import Layer
from mtrl.agents.networks.mlp import MLP
from mtrl.agents.networks.moore import Moore
from mtrl.agents.networks.paco import PaCo
from mtrl.agents.networks.residual import Residual
from mtrl.agents.networks.simba import SimBa
from mtrl.agents.networks.soft_modular import SoftModular


class Trunk(Layer, Protocol):
    """Everything between a network's input and its head."""

    num_outputs: int


def make_trunk(config: NetworkConfig, hidden: HiddenLayers, num_inputs: int) -> Trunk:
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
