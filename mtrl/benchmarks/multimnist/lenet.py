"""The LeNet of Sener and Koltun 2018 for two overlaid digits.

Axes: `B` batch, `H` side of a picture.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format

from mtrl.benchmarks.multimnist.idx import CLASSES
from mtrl.supervised.benchmark import MultiTaskModel

REPRESENTATION = 50


class LeNet(MultiTaskModel):
    """Two convolutions and a linear layer, then a small head per task.

    Args:
        size: `H`; with 28 and two heads there are 27,450 parameters.
        heads: tasks.
        dropout: probability, of channels in the trunk and of units in the heads.
    """

    def __init__(self, size: int, heads: int, dropout: float) -> None:
        super().__init__()
        side = ((size - 4) // 2 - 4) // 2
        # Official code: one mask of channels for the whole batch, neither scaled up in training nor down in testing;
        # here the usual dropout, a mask for each example, scaled.
        self.trunk = nn.Sequential(
            nn.Conv2d(1, 10, 5),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Conv2d(10, 20, 5),
            nn.Dropout2d(dropout),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(20 * side * side, REPRESENTATION),
            nn.ReLU(),
        )
        # A step takes a fifth less time on a CPU: pooling is vectorized.
        convert_conv2d_weight_memory_format(self.trunk, torch.channels_last)
        self.heads = nn.ModuleList(
            nn.Sequential(
                nn.Linear(REPRESENTATION, REPRESENTATION),
                nn.ReLU(),
                nn.Dropout(dropout),
                nn.Linear(REPRESENTATION, CLASSES),
            )
            for _ in range(heads)
        )

    def represent(self, inputs: Tensor) -> Tensor:
        """Pictures `[B, 1, H, H]` to `[B, 50]`."""
        representation: Tensor = self.trunk(inputs)
        return representation

    def predict(self, representation: Tensor) -> list[Tensor]:
        """Logits of each task, `[B, 10]`."""
        return [head(representation) for head in self.heads]

    def shared_parameters(self) -> Iterator[nn.Parameter]:
        return self.trunk.parameters()
