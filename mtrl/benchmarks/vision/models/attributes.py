"""A trunk and a linear head per attribute, all heads one matrix product.

Axes: `T` tasks, `B` batch, `F` features, `K` outputs of a head.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from mtrl.benchmarks.vision.models.plain_cnn import PlainCNN
from mtrl.benchmarks.vision.models.resnet import SmallResNet18
from mtrl.supervised.benchmark import MultiTaskModel


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


class AttributeNetwork(MultiTaskModel):
    """A network of images `[B, 3, H, W]` whose outputs are `[T, B, K]`.

    Args:
        trunk: makes the representation.
        tasks: number of attributes, `T`.
        outputs: of a head, `K`: 2 for log-odds of both answers, 1 for one logit.
        size: of the images, in pixels.
    """

    def __init__(self, trunk: SmallResNet18 | PlainCNN, tasks: int, outputs: int, size: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.heads = AttributeHeads(tasks, trunk.features(size), outputs)

    def represent(self, images: Tensor) -> Tensor:
        """Features, `[B, F]`."""
        return self.trunk(images)

    def predict(self, representation: Tensor) -> Tensor:
        """Scores of each attribute, `[T, B, K]`."""
        return self.heads(representation)

    def shared_parameters(self) -> Iterator[nn.Parameter]:
        """The trunk's."""
        return self.trunk.parameters()
