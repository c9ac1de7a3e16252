"""Augmentation of whole batches: every image has its own crop, turn and mirror image.

Axes: `B` batch, `C` channels, `H` rows and `W` columns of pixels. Draws come from a generator on the CPU.
"""

from typing import NamedTuple

import torch
from torch import Generator, Tensor
from torch.nn import functional

SCALES = (1.0, 1.2, 1.5)


class Crops(NamedTuple):
    """A rectangle per image, which is enlarged to the image's size."""

    top: Tensor
    """int64 `[B]`"""
    left: Tensor
    """int64 `[B]`"""
    scale: Tensor
    """float64 `[B]`: the rectangle has `floor(H / scale)` rows and `floor(W / scale)` columns."""
    size: tuple[int, int]
    """`H`, `W`"""

    def nearest(self, images: Tensor) -> Tensor:
        """Enlarged, each pixel that of the nearest one; `[B, C, H, W]`, any dtype."""
        (rows, columns), (height, width) = self._inside(), self.size
        y = self.top[:, None] + torch.arange(height) * rows[:, None] // height
        x = self.left[:, None] + torch.arange(width) * columns[:, None] // width
        one = torch.arange(len(images))
        return images[one[:, None, None], :, y[:, :, None], x[:, None, :]].permute(0, 3, 1, 2)

    def bilinear(self, images: Tensor) -> Tensor:
        """Enlarged with corners aligned; floating point, `[B, C, H, W]`."""
        (rows, columns), (height, width) = self._inside(), self.size
        y = _line(self.top, rows, height)
        x = _line(self.left, columns, width)
        grid = torch.stack(torch.broadcast_tensors(x[:, None, :], y[:, :, None]), -1)
        return functional.grid_sample(images, grid, padding_mode="border", align_corners=True)

    def _inside(self) -> tuple[Tensor, Tensor]:
        height, width = self.size
        return (height / self.scale).long(), (width / self.scale).long()


def draw_crops(batch: int, size: tuple[int, int], generator: Generator) -> Crops:
    """A scale per image, and where its rectangle lies."""
    scale = torch.tensor(SCALES, dtype=torch.float64)[torch.randint(len(SCALES), (batch,), generator=generator)]
    crops = Crops(torch.zeros(batch).long(), torch.zeros(batch).long(), scale, size)
    rows, columns = crops._inside()
    where = torch.rand(2, batch, generator=generator)
    top, left = (where * torch.stack((size[0] - rows + 1, size[1] - columns + 1))).long()
    return crops._replace(top=top, left=left)


def draw_flips(batch: int, generator: Generator) -> Tensor:
    """Which images are mirrored, bool `[B]`."""
    return torch.rand(batch, generator=generator) < 0.5


def flip(images: Tensor, which: Tensor) -> Tensor:
    """Images `[B, C, H, W]`, some of them with left and right exchanged."""
    return torch.where(which[:, None, None, None], images.flip(-1), images)


def flip_vectors(vectors: Tensor, which: Tensor, channel: int) -> Tensor:
    """Images of vectors, some of them mirrored: component `channel`, which points along the rows, changes its sign."""
    sign = torch.ones(vectors.shape[1])
    sign[channel] = -1
    return torch.where(which[:, None, None, None], vectors.flip(-1) * sign[:, None, None], vectors)


def draw_angles(batch: int, most: float, generator: Generator) -> Tensor:
    """An angle per image, uniform within +-`most` degrees; radians `[B]`."""
    return torch.deg2rad((2 * torch.rand(batch, generator=generator) - 1) * most)


def rotation_grid(angles: Tensor, size: tuple[int, int]) -> Tensor:
    """Where each pixel of an image turned by `angles [B]` (counter-clockwise) comes from, for `grid_sample`."""
    height, width = size
    cos, sin, zero = angles.cos(), angles.sin(), torch.zeros_like(angles)
    # In pixels, not in the grid's units, which are longer along the longer side.
    rows = torch.stack((cos, -sin * height / width, zero, sin * width / height, cos, zero), -1)
    return functional.affine_grid(rows.view(-1, 2, 3), [len(angles), 1, height, width], align_corners=False)


def turn(images: Tensor, angles: Tensor, mode: str) -> Tensor:
    """Images `[B, C, H, W]` turned about their middles; 0 where nothing is known."""
    grid = rotation_grid(angles, (images.shape[-2], images.shape[-1]))
    return functional.grid_sample(images, grid, mode=mode, align_corners=False)


def turn_offsets(offsets: Tensor, angles: Tensor) -> Tensor:
    """Vectors `(y, x)` in pixels, `[B, 2, H, W]`, that turn with the image; the vectors, not where they stand."""
    cos, sin = angles.cos()[:, None, None], angles.sin()[:, None, None]
    y, x = offsets.unbind(1)
    return torch.stack((cos * y - sin * x, sin * y + cos * x), 1)


def _line(start: Tensor, length: Tensor, number: int) -> Tensor:
    """`number` points from a rectangle's first pixel to its last, in the units of `grid_sample`; `[B, number]`."""
    pixels = start[:, None] + torch.linspace(0, 1, number) * (length - 1)[:, None]
    return 2 * pixels / (number - 1) - 1
