"""Encoders mixed by attention to the task (Sodhani et al. 2021, CARE)."""

from dataclasses import replace

import torch
from torch import Generator, Tensor

from mtrl.agents.networks.conditioning import HiddenLayers, TaskVector
from mtrl.agents.networks.feed_forward import MLP
from mtrl.agents.networks.layers import Forward, Linear
from mtrl.agents.networks.parameters import NetworkParameters, Part, init_all

ENCODER_DEPTH = 2
"""Hidden layers of each encoder, of the context's and of the attention; an output layer follows."""


class Care:
    """`z = sum_k a_k(c) encoder_k(x)`, an MLP on `z` and the task's context `c`.

    Paper: the context comes of a language model's vector of the task's description; here of a learned vector of the
    task. Paper: actor and critic share the encoders, which the critic trains; here each network has its own.

    Args:
        hidden: makes the hidden layers.
        num_inputs: `I`.
        width: of the MLP behind the encoders.
        depth: likewise.
        num_encoders: `k`.
        encoder_width: of the encoders' layers, of `z` and of `c`.
    """

    def __init__(
        self, hidden: HiddenLayers, num_inputs: int, width: int, depth: int, num_encoders: int, encoder_width: int
    ) -> None:
        size, of_task = encoder_width, replace(hidden, encoding="none")
        self.task = TaskVector("task", size, norm=size**0.5)  # entries of order one
        self.context = MLP(of_task, size, size, ENCODER_DEPTH + 1, "context.", linear_output=True)
        self.attention = MLP(of_task, size, size, ENCODER_DEPTH, "attention.")
        self.scores = Linear("scores", size, num_encoders, gain=1.0)
        self.encoders = [
            MLP(hidden, num_inputs, size, ENCODER_DEPTH + 1, f"encoder{k}.", linear_output=True)
            for k in range(num_encoders)
        ]
        self.trunk = MLP(hidden, 2 * size, width, depth, first=False)
        self.num_outputs = self.trunk.num_outputs

    def init(self, num_tasks: int, generator: Generator) -> NetworkParameters:
        """See `Part`."""
        parts: list[Part] = [self.task, self.context, self.attention, self.scores, *self.encoders, self.trunk]
        return init_all(parts, num_tasks, generator)

    def __call__(self, forward: Forward, x: Tensor) -> Tensor:
        """See `Layer`."""
        # All rows are of one task, but layers on the tape need one a row of `x`.
        context = self.context(forward, self.task(forward).expand(x.shape[0], -1))
        encodings = torch.stack([encoder(forward, x) for encoder in self.encoders], -2)
        mixed = (self.weights(forward, context).unsqueeze(-2) @ encodings).squeeze(-2)
        return self.trunk(forward, torch.cat([mixed, context], -1))

    def weights(self, forward: Forward, context: Tensor) -> Tensor:
        """The share of each encoder, `[B, k]`; shares sum to one.

        Args:
            forward: see `Layer`.
            context: `[B, encoder_width]`.
        """
        return self.scores(forward, self.attention(forward, context)).softmax(-1)
