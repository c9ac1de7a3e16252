"""Models of supervised learning whose tasks share a forward pass, for what a step of each costs.

Axes: `T` tasks.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Model:
    """A trunk, the batch that it reads, and how many tasks read the trunk's features."""

    name: str
    trunk: Callable[[], nn.Module]
    features: int
    """Numbers per sample that the trunk gives."""
    batch: Callable[[], Tensor]
    tasks: int


INPUTS = 49
"""Numbers that an MLP reads."""


def mlp(width: int = 400) -> nn.Sequential:
    """A network of three layers."""
    sizes = [INPUTS, width, width, width]
    return nn.Sequential(*(m for a, b in itertools.pairwise(sizes) for m in (nn.Linear(a, b), nn.ReLU())))


class Residual(nn.Module):
    """A block of ResNet-18 (He et al. 2016)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = convolution(inputs, outputs, 3, stride)
        self.second = convolution(outputs, outputs, 3, 1)
        changes = stride != 1 or inputs != outputs
        self.shortcut = convolution(inputs, outputs, 1, stride) if changes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.second(functional.relu(self.first(x))) + self.shortcut(x))


def convolution(inputs: int, outputs: int, size: int, stride: int) -> nn.Module:
    """A convolution and batch normalisation."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False), nn.BatchNorm2d(outputs))


def resnet18(width: int) -> nn.Module:
    """ResNet-18 with `width` channels in its first stage; 64 in the paper."""
    stem = [convolution(3, width, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    blocks, channels = [], width
    for stage in range(4):
        for block in range(2):
            blocks.append(Residual(channels, width * 2**stage, 2 if stage and not block else 1))
            channels = width * 2**stage
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten())


class Encoder(nn.Module):
    """A transformer encoder: word and position embeddings, blocks, the mean over positions."""

    WIDTH, HEADS, WORDS = 256, 4, 1000

    def __init__(self, layers: int, length: int) -> None:
        super().__init__()
        self.words = nn.Embedding(self.WORDS, self.WIDTH)
        self.positions = nn.Parameter(torch.randn(length, self.WIDTH))
        self.blocks = nn.Sequential(*(Attention(self.WIDTH, self.HEADS) for _ in range(layers)))

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(self.words(x) + self.positions).mean(1)


class Attention(nn.Module):
    """A block of a transformer, the norms first."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mix, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.mix(self.before(x)).chunk(3, -1)
        )
        x = x + self.out(functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return x + self.narrow(functional.gelu(self.wide(self.between(x))))


def images() -> Tensor:
    """Inputs of a network for pictures."""
    return torch.randn(32, 3, 32, 32)


def texts(samples: int, length: int) -> Callable[[], Tensor]:
    """Draws inputs of an encoder: words, `[samples, length]`."""
    return lambda: torch.randint(0, Encoder.WORDS, (samples, length))


MODELS = [
    *(Model("MLP 3x400, batch 128", mlp, 400, lambda: torch.randn(128, INPUTS), tasks) for tasks in (10, 40)),
    *(Model("ResNet-18 half width, 32 px, batch 32", lambda: resnet18(32), 256, images, tasks) for tasks in (10, 40)),
    *(Model("ResNet-18, 32 px, batch 32", lambda: resnet18(64), 512, images, tasks) for tasks in (3, 10)),
    Model("transformer encoder, 2 layers, 4 x 32", lambda: Encoder(2, 32), 256, texts(4, 32), 10),
    Model("transformer encoder, 4 layers, 16 x 64", lambda: Encoder(4, 64), 256, texts(16, 64), 3),
]
