"""Two images laid over each other (Sabour et al. 2017, as in Sener and Koltun 2018, section 5.1).

Axes: `N` pairs, `H` side of a picture, 2 tasks.
"""

from typing import Literal

import torch
from torch import Generator, Tensor

from mtrl.benchmarks.multimnist.idx import SIDE, Images
from mtrl.supervised.benchmark import Batch

CANVAS = 36
SHIFT = 6
"""Of the second image, right and down; the last two rows and columns of the canvas stay empty."""
MEAN, STD = 0.1307, 0.3081
"""Of MNIST's pixels."""
Size = Literal[28, 36]


class Pairs:
    """A split, `Split`: pictures `[N, H, H]` uint8 and labels `[N, 2]` int64."""

    def __init__(self, pictures: Tensor, labels: Tensor) -> None:
        self.pictures, self.labels = pictures, labels

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices: Tensor, generator: Generator | None) -> Batch:
        """Normalised pictures `[B, 1, H, H]` and the labels `[B, 2]`; there is no augmentation."""
        pictures = self.pictures[indices].unsqueeze(1).float().div_(255)
        return Batch(pictures.sub_(MEAN).div_(STD), self.labels[indices])

    def cut(self, at: int) -> tuple["Pairs", "Pairs"]:
        """The pairs before a place, and the pairs from it on."""
        return Pairs(self.pictures[:at], self.labels[:at]), Pairs(self.pictures[at:], self.labels[at:])


def make_pairs(first: Images, second: Images, per_image: int, size: Size, generator: Generator) -> Pairs:
    """Every first image, `per_image` times, with a second one drawn uniformly (it may be the same).

    Args:
        first: in the top left corner.
        second: in the bottom right corner.
        per_image: pictures that each first image is in.
        size: of the pictures; 28 takes the nearest pixels of the 36x36 canvas.
        generator: draws.
    """
    left = torch.arange(len(first.labels)).repeat(per_image)
    right = torch.randint(len(second.labels), (len(left),), generator=generator)
    # Paper: does not say that the canvas is resized; the authors' code does, with PIL's nearest pixel.
    kept = ((torch.arange(size) + 0.5) * (CANVAS / size)).floor().long()
    pictures = torch.empty(len(left), size, size, dtype=torch.uint8)
    for rows in torch.arange(len(left)).split(10_000):  # the whole canvas of all pairs at once would be large
        canvas = torch.zeros(len(rows), CANVAS, CANVAS, dtype=torch.uint8)
        canvas[:, :SIDE, :SIDE] = first.pixels[left[rows]]
        shifted = canvas[:, SHIFT : SHIFT + SIDE, SHIFT : SHIFT + SIDE]
        torch.maximum(shifted, second.pixels[right[rows]], out=shifted)
        pictures[rows] = canvas[:, kept[:, None], kept]
    return Pairs(pictures, torch.stack((first.labels[left], second.labels[right]), -1))
