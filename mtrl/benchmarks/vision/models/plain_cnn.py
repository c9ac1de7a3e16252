"""FAMO's nine-layer network for CelebA (Liu et al. 2023): seven convolutions and two linear layers."""

from torch import Tensor, nn


class PlainCNN(nn.Module):
    """Convolutions of `width` (1, 2, 2, 4, 4, 8, 8) channels with pooling in between, two linear layers of `8 width`.

    Args:
        width: channels of the first layer; published: 64.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        wide = 8 * width
        layers: list[nn.Module] = [*_convolution(3, width), nn.MaxPool2d(2)]
        for before, after in ((width, 2 * width), (2 * width, 4 * width), (4 * width, wide)):
            layers += [*_convolution(before, after), *_convolution(after, after)]
            layers.append(nn.AdaptiveAvgPool2d(1) if after == wide else nn.MaxPool2d(2))
        layers.append(nn.Flatten())
        for _ in range(2):
            layers += [nn.Linear(wide, wide, bias=False), nn.BatchNorm1d(wide), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers)
        self.width = width

    def features(self, size: int) -> int:
        """Length of the representation, whatever the size of the images."""
        return 8 * self.width

    def forward(self, images: Tensor) -> Tensor:
        """Images `[B, 3, H, W]` to `[B, 8 width]`."""
        return self.layers(images)


def _convolution(before: int, after: int) -> list[nn.Module]:
    return [nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
