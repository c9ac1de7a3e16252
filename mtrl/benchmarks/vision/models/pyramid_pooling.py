"""The pyramid pooling decoder (Zhao et al. 2017, PSPNet): what lies around a pixel, at four scales.

Axes: `B` batch, `C` channels, `H` rows and `W` columns of the features.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

SCALES = (1, 2, 3, 6)


class PyramidPooling(nn.Module):
    """One task's decoder.

    Args:
        channels: of the features.
        inner: channels of each scale and of the last convolution; published: 512, a quarter of the features.
        outputs: channels that the task predicts.
    """

    def __init__(self, channels: int, inner: int, outputs: int) -> None:
        super().__init__()
        self.scales = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d(scale), *_convolution(channels, inner, 1)) for scale in SCALES
        )
        wide = channels + len(SCALES) * inner
        self.last = nn.Sequential(*_convolution(wide, inner, 3), nn.Conv2d(inner, outputs, 1))

    def forward(self, features: Tensor) -> Tensor:
        """`[B, channels, H, W]` to `[B, outputs, H, W]`."""
        size = features.shape[-2:]
        seen = [functional.interpolate(scale(features), size, mode="bilinear") for scale in self.scales]
        return self.last(torch.cat((features, *seen), 1))


def _convolution(before: int, after: int, size: int) -> list[nn.Module]:
    conv = nn.Conv2d(before, after, size, padding=size // 2, bias=False)
    return [conv, nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
