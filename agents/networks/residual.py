"""Residual blocks with a LayerNorm after each linear layer."""

from torch import Generator, Tensor
from torch.nn import functional

from mtrl.agents.networks.conditioning import HiddenLayers
from mtrl.agents.networks.layers import Forward
from mtrl.agents.networks.parameters import NetworkParameters, init_all


class Residual:
    """BroNet (Nauman et al. 2024): `relu(norm(linear))`, then blocks `x + norm(linear(relu(norm(linear(x)))))`."""

    def __init__(self, hidden: HiddenLayers, num_inputs: int, width: int, depth: int) -> None:
        self.num_outputs = width
        self.first = hidden("layer0", num_inputs, width, first=True, norm=True)
        self.blocks = [
            (hidden(f"layer{2 * i + 1}", width, width, norm=True), hidden(f"layer{2 * i + 2}", width, width, norm=True))
            for i in range(depth)
        ]

    def init(self, num_tasks: int, generator: Generator) -> NetworkParameters:
        """See `Part`."""
        return init_all([self.first, *(layer for block in self.blocks for layer in block)], num_tasks, generator)

    def __call__(self, forward: Forward, x: Tensor) -> Tensor:
        """See `Layer`."""
        x = functional.relu(self.first(forward, x))
        for inner, outer in self.blocks:
            x = x + outer(forward, functional.relu(inner(forward, x)))
        return x
