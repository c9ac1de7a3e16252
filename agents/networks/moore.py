"""Experts with orthogonal outputs, mixed by the task's weights (Hendawy et al. 2024, MOORE).

Axes: `K` experts, `B` rows, `D` features.
"""

import torch
from torch import Generator, Tensor
from torch.nn import functional

from mtrl.agents.networks.conditioning import HiddenLayers, TaskVector
from mtrl.agents.networks.feed_forward import MLP
from mtrl.agents.networks.layers import Forward
from mtrl.agents.networks.parameters import NetworkParameters, init_all


class Moore:
    """`tanh(sum_k w_k u_k)`, `u` the orthonormalised outputs of the experts, `w` the task's.

    Args:
        hidden: makes the hidden layers.
        num_inputs: `I`.
        width: of each expert's layers.
        depth: layers of each expert, the last without activation.
        num_experts: `K`.
    """

    def __init__(self, hidden: HiddenLayers, num_inputs: int, width: int, depth: int, num_experts: int) -> None:
        self.num_outputs = width
        self.experts = [
            MLP(hidden, num_inputs, width, depth, f"expert{k}.", linear_output=True) for k in range(num_experts)
        ]
        self.weights = TaskVector("experts", num_experts)

    def init(self, num_tasks: int, generator: Generator) -> NetworkParameters:
        """See `Part`."""
        return init_all([*self.experts, self.weights], num_tasks, generator)

    def __call__(self, forward: Forward, x: Tensor) -> Tensor:
        """See `Layer`."""
        features = orthonormalised(self.outputs(forward, x))
        return (self.weights(forward) @ features).squeeze(-2).tanh()

    def outputs(self, forward: Forward, x: Tensor) -> Tensor:
        """The experts' outputs before they are made orthogonal, `[B, K, D]`."""
        return torch.stack([expert(forward, x) for expert in self.experts], -2)


def orthonormalised(vectors: Tensor) -> Tensor:
    """Gram-Schmidt: `[..., K, D]` to vectors of the same span, each row's orthonormal; K <= D."""
    basis: list[Tensor] = []
    for vector in vectors.unbind(-2):
        rest = vector
        for other in basis:  # one after the other: the modified process, which loses fewer digits
            rest = rest - (rest * other).sum(-1, keepdim=True) * other
        basis.append(functional.normalize(rest, dim=-1))
    return torch.stack(basis, -2)
