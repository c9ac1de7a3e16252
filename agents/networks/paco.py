"""An MLP whose parameters each task composes (Sun et al. 2022, PaCo).

Axes: `K` parameter sets, `B` rows, `I` inputs, `O` outputs.
"""

from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor

from mtrl.agents.networks.conditioning import HiddenLayers, TaskVector
from mtrl.agents.networks.feed_forward import MLP
from mtrl.agents.networks.layers import RELU_GAIN, Forward
from mtrl.agents.networks.parameters import NetworkParameters, init_all, orthogonal


class PaCo:
    """An MLP of `Composed` layers.

    Args:
        hidden: makes the hidden layers, but for their linear part.
        num_inputs: `I`.
        width: of the layers.
        depth: of the MLP.
        num_sets: `K`.
    """

    def __init__(self, hidden: HiddenLayers, num_inputs: int, width: int, depth: int, num_sets: int) -> None:
        self.num_outputs = width
        self.weights = TaskVector("composition", num_sets)
        self.mlp = MLP(replace(hidden, linear=self.linear), num_inputs, width, depth)

    def init(self, num_tasks: int, generator: Generator) -> NetworkParameters:
        """See `Part`."""
        return init_all([self.weights, self.mlp], num_tasks, generator)

    def __call__(self, forward: Forward, x: Tensor) -> Tensor:
        """See `Layer`."""
        return self.mlp(forward, x)

    def linear(self, name: str, num_inputs: int, num_outputs: int, gain: float = RELU_GAIN) -> "Composed":
        """A layer composed by the same weights as all others."""
        return Composed(name, num_inputs, num_outputs, self.weights, gain)


@dataclass(frozen=True)
class Composed:
    """A linear layer with parameters `sum_k w_k phi_k`, `w` the task's, `phi` all tasks'.

    It is the shared linear layer `phi [K (I + 1), O]` of the inputs `w_k x` and `w_k`, and so it lies on the tape.
    Besides, as every such layer, it has a bias of all tasks. Paper: it has none, and the sets are equal at first.

    Attributes:
        name: of the layer.
        num_inputs: `I`.
        num_outputs: `O`.
        weights: the task's `w [1, K]`, the same for all layers of a network.
        gain: of the sets' first weights; `w` has norm one, so the composed ones are as large.
    """

    name: str
    num_inputs: int
    num_outputs: int
    weights: TaskVector
    gain: float = RELU_GAIN

    def init(self, num_tasks: int, generator: Generator) -> NetworkParameters:
        """See `Part`."""
        zero = torch.zeros(1, self.num_outputs, dtype=torch.float32)
        sets = [orthogonal(self.num_inputs, self.num_outputs, self.gain, generator) for _ in range(self.weights.size)]
        phi = torch.cat([torch.cat([weight, zero]) for weight in sets])
        return NetworkParameters({f"{self.name}.weight": phi, f"{self.name}.bias": zero}, {})

    def __call__(self, forward: Forward, x: Tensor) -> Tensor:
        """See `Layer`."""
        w = self.weights(forward)
        phi, bias = forward.shared[f"{self.name}.weight"], forward.shared[f"{self.name}.bias"]
        with_one = torch.cat([x, torch.ones_like(x[:, :1])], -1)
        forward.tape[self.name] = (w[..., None] * with_one[:, None]).flatten(1).to(forward.precision)
        # To compose first costs a K-th of the product of those inputs with `phi`.
        composed = torch.tensordot(w[0], phi.unflatten(0, (self.weights.size, -1)), 1)
        return (with_one.to(forward.precision) @ composed.to(forward.precision)).to(bias.dtype) + bias
