"""Hidden layers that know their task: from the input of the network on, or each by itself."""

from dataclasses import dataclass
from typing import Literal, Protocol

from mtrl.agents.networks.layers import RELU_GAIN, Chain, Layer, LayerNorm, Linear
from mtrl.agents.networks.own import FiLM, OneHotRow


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
