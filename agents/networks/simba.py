"""Residual blocks with a LayerNorm before them (SimBa, Lee et al. 2024)."""

from torch import Generator, Tensor
from torch.nn import functional

from mtrl.agents.networks.conditioning import HiddenLayers
from mtrl.agents.networks.layers import Forward, LayerNorm, Linear
from mtrl.agents.networks.parameters import NetworkParameters, init_all

EXPANSION = 4
"""Units inside a block, by those outside."""


class SimBa:
    """A linear layer, blocks `x + linear(relu(linear(norm(x))))` that are four times as wide inside, and a norm.

    Paper: running statistics normalise the observation first; here nothing does, because Meta-World's are in metres.
    """

    def __init__(self, hidden: HiddenLayers, num_inputs: int, width: int, depth: int) -> None:
        self.num_outputs, inside = width, EXPANSION * width
        self.first = hidden("layer0", num_inputs, width, first=True)
        self.blocks = [
            (
                LayerNorm(f"norm{i}", width),
                hidden(f"layer{2 * i + 1}", width, inside),
                Linear(f"layer{2 * i + 2}", inside, width),
            )
            for i in range(depth)
        ]
        self.norm = LayerNorm("norm", width)

    def init(self, num_tasks: int, generator: Generator) -> NetworkParameters:
        """See `Part`."""
        return init_all(
            [self.first, *(part for block in self.blocks for part in block), self.norm], num_tasks, generator
        )

    def __call__(self, forward: Forward, x: Tensor) -> Tensor:
        """See `Layer`."""
        x = self.first(forward, x)
        for norm, inner, outer in self.blocks:
            x = x + outer(forward, functional.relu(inner(forward, norm(forward, x))))
        return self.norm(forward, x)
