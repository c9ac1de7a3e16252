"""SegNet (Badrinarayanan et al. 2017) in MTAN's form: the decoder puts maxima back where pooling found them.

Axes: `B` batch, `C` channels, `H` rows and `W` columns of pixels.
"""

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional

LEVELS = 5
"""Each halves the resolution."""


class Levels(NamedTuple):
    """Activations of the encoder or of the decoder, a level each, the finest first."""

    inputs: list[Tensor]
    """What the level's convolutions read."""
    first: list[Tensor]
    """After the first convolution."""
    last: list[Tensor]
    """After the last one."""


class SegNet(nn.Module):
    """Encoder and decoder, shared by all tasks.

    Args:
        width: channels of the finest level; the published 64 makes 64, 128, 256, 512, 512.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.channels = encoder_channels(width)
        before, after = [3, *self.channels[:-1]], decoder_channels(width)
        repeats = [1, 1, 2, 2, 2]
        self.encoder = nn.ModuleList(convolution(a, b) for a, b in zip(before, self.channels, strict=True))
        self.encoder_more = nn.ModuleList(_repeated(c, n) for c, n in zip(self.channels, repeats, strict=True))
        self.decoder = nn.ModuleList(convolution(a, b) for a, b in zip(self.channels, after, strict=True))
        self.decoder_more = nn.ModuleList(_repeated(c, n) for c, n in zip(after, repeats, strict=True))
        initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        """Images `[B, 3, H, W]`, multiples of 32, to `[B, width, H, W]`."""
        return self.levels(images)[1].last[0]

    def levels(self, images: Tensor) -> tuple[Levels, Levels]:
        """The activations of the encoder and of the decoder."""
        down, up, places = Levels([], [], []), Levels([], [], []), []
        x = images
        for first, more in zip(self.encoder, self.encoder_more, strict=True):
            _record(down, x, first, more)
            x, place = functional.max_pool2d(down.last[-1], 2, return_indices=True)
            places.append(place)
        for level in reversed(range(LEVELS)):
            x = functional.max_unpool2d(x, places[level], [2, 2])
            _record(up, x, self.decoder[level], self.decoder_more[level])
            x = up.last[-1]
        return down, Levels(*(list(reversed(tensors)) for tensors in up))


def encoder_channels(width: int) -> list[int]:
    """Channels that the encoder's levels give, the finest first."""
    return [width, 2 * width, 4 * width, 8 * width, 8 * width]


def decoder_channels(width: int) -> list[int]:
    """Channels that the decoder's levels give, the finest first."""
    return [width, *encoder_channels(width)[:-1]]


def initialise(network: nn.Module) -> None:
    """Draw first parameters as MTAN's code does: Xavier's normal distribution, biases zero."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.xavier_normal_(module.weight)
            assert module.bias is not None
            nn.init.zeros_(module.bias)


def convolution(before: int, after: int) -> nn.Sequential:
    """3x3, batch normalisation, ReLU."""
    return nn.Sequential(nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(inplace=True))


def _repeated(channels: int, number: int) -> nn.Sequential:
    return nn.Sequential(*(convolution(channels, channels) for _ in range(number)))


def _record(levels: Levels, x: Tensor, first: nn.Module, more: nn.Module) -> None:
    levels.inputs.append(x)
    levels.first.append(first(x))
    levels.last.append(more(levels.first[-1]))
