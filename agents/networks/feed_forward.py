"""Trunks that only know the task by their conditioning: linear layers, and residual blocks of two kinds."""

from torch import Generator, Tensor
from torch.nn import functional

from mtrl.agents.networks.conditioning import HiddenLayers
from mtrl.agents.networks.layers import Forward, LayerNorm, Linear
from mtrl.agents.networks.parameters import NetworkParameters, init_all

EXPANSION = 4
"""Units inside a block, by those outside."""


class MLP:
    """Layers of equal width.

    Args:
        hidden: makes the layers.
        num_inputs: of the first.
        width: of each.
        depth: how many, at least one.
        name: before each layer's.
        first: whether the first reads the network's input.
        linear_output: no ReLU after the last.
    """

    def __init__(
        self,
        hidden: HiddenLayers,
        num_inputs: int,
        width: int,
        depth: int,
        name: str = "",
        *,
        first: bool = True,
        linear_output: bool = False,
    ) -> None:
        self.num_outputs, self.linear_output = width, linear_output
        sizes = [num_inputs] + [width] * depth
        self.layers = [hidden(f"{name}layer{i}", sizes[i], width, first=first and i == 0) for i in range(depth)]

    def init(self, num_tasks: int, generator: Generator) -> NetworkParameters:
        """See `Part`."""
        return init_all(self.layers, num_tasks, generator)

    def __call__(self, forward: Forward, x: Tensor) -> Tensor:
        """See `Layer`."""
        *inner, last = self.layers
        for layer in inner:
            x = functional.relu(layer(forward, x))
        x = last(forward, x)
        return x if self.linear_output else functional.relu(x)


class Residual:
    """A LayerNorm after each linear layer: `relu(norm(linear))`, then blocks `x + norm(linear(relu(norm(linear(x)))))`.

    BroNet (Nauman et al. 2024).
    """

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


class SimBa:
    """A linear layer, blocks `x + linear(relu(linear(norm(x))))` that are four times as wide inside, and a norm.

    SimBa (Lee et al. 2024). Paper: running statistics normalise the observation first; here nothing does, because
    Meta-World's are in metres.
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
