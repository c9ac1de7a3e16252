"""MTAN on SegNet (Liu, Johns and Davison 2019): per task, attention masks pick what it reads of the shared levels.

Axes: `T` tasks, `B` batch, `C` channels, `H` rows and `W` columns of pixels.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import Parameter, functional

from mtrl.benchmarks.vision.models.segnet import (
    LEVELS,
    Levels,
    SegNet,
    convolution,
    decoder_channels,
    encoder_channels,
    initialise,
)


class SegNetMTAN(nn.Module):
    """A SegNet, and for each task an attention at each of its levels.

    The masks are the task's own. The convolutions between them, `encoder_path` and `decoder_path`, serve all tasks.

    Args:
        tasks: their number.
        width: channels of the finest level; published: 64.
    """

    def __init__(self, tasks: int, width: int = 64) -> None:
        super().__init__()
        down, up = encoder_channels(width), decoder_channels(width)
        self.segnet = SegNet(width)
        self.encoder_path = nn.ModuleList(convolution(a, b) for a, b in zip(down, [*down[1:], down[-1]], strict=True))
        self.decoder_path = nn.ModuleList(convolution(a, b) for a, b in zip(down, up, strict=True))
        self.own = nn.ModuleList(_Attention(down, up) for _ in range(tasks))
        initialise(self)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Images `[B, 3, H, W]`, multiples of 32, to what each task's prediction reads, `[B, width, H, W]`."""
        down, up = self.segnet.levels(images)
        return [self._of_task(down, up, own) for own in self.own]

    def common_parameters(self) -> Iterator[Parameter]:
        """Those that serve all tasks: all but the masks'."""
        for module in (self.segnet, self.encoder_path, self.decoder_path):
            yield from module.parameters()

    def _of_task(self, down: Levels, up: Levels, own: nn.Module) -> Tensor:
        assert isinstance(own, _Attention)
        kept: Tensor | None = None
        for level in range(LEVELS):
            read = down.first[level] if kept is None else torch.cat((down.first[level], kept), 1)
            kept = self.encoder_path[level](own.encoder[level](read) * down.last[level])
            kept = functional.max_pool2d(kept, 2)
        assert kept is not None
        for level in reversed(range(LEVELS)):
            kept = functional.interpolate(kept, scale_factor=2, mode="bilinear", align_corners=True)
            read = torch.cat((up.inputs[level], self.decoder_path[level](kept)), 1)
            kept = own.decoder[level](read) * up.last[level]
        return kept


class _Attention(nn.Module):
    """The masks of one task."""

    def __init__(self, down: list[int], up: list[int]) -> None:
        super().__init__()
        read = [down[0], *(2 * c for c in down[1:])]
        self.encoder = nn.ModuleList(_mask(a, b) for a, b in zip(read, down, strict=True))
        self.decoder = nn.ModuleList(_mask(a + b, b) for a, b in zip(down, up, strict=True))


def _mask(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 1),
        nn.BatchNorm2d(after),
        nn.ReLU(inplace=True),
        nn.Conv2d(after, after, 1),
        nn.BatchNorm2d(after),
        nn.Sigmoid(),
    )
