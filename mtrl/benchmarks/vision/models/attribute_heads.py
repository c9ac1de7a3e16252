"""One linear head per attribute, all of them one matrix product.

Axes: `T` tasks, `B` batch, `F` features, `K` outputs of a head.
"""

import math

import torch
from torch import Tensor, nn


class AttributeHeads(nn.Module):
    """`T` linear layers that read the same features.

    Forty small layers are forty times the overhead of one; and a batched backward pass (`chunk_size = T`), which gives
    every task's gradient with respect to the features at once, is a single product as well.
    """

    def __init__(self, tasks: int, features: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(tasks, outputs, features))
        self.bias = nn.Parameter(torch.empty(tasks, outputs))
        bound = 1 / math.sqrt(features)  # as nn.Linear
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, features: Tensor) -> Tensor:
        """`[B, F]` to `[T, B, K]`."""
        tasks, outputs, _ = self.weight.shape
        rows = torch.addmm(self.bias.flatten(), features, self.weight.flatten(0, 1).mT)
        return rows.view(len(features), tasks, outputs).transpose(0, 1)
