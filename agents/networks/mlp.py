"""Linear layers and ReLU."""

from torch import Generator, Tensor
from torch.nn import functional

from mtrl.agents.networks.conditioning import HiddenLayers
from mtrl.agents.networks.layers import Forward
from mtrl.agents.networks.parameters import NetworkParameters, init_all


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
