"""Residual networks (He et al. 2016): the 18-layer one for small images, the 50-layer one dilated for dense output.

Axes: `B` batch, `C` channels, `H` rows and `W` columns of pixels.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class SmallResNet18(nn.Module):
    """ResNet-18 with a 3x3 stem and no first pooling, as for CIFAR; CelebA's trunk in Sener and Koltun 2018.

    Args:
        width: channels of the first stage; the published 64 has 11,168,832 parameters.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.conv1 = _conv(3, width, 3)
        self.bn1 = nn.BatchNorm2d(width)
        stages, before = [], width
        for stage in range(4):
            after = width << stage
            stages += [_Basic(before, after, 1 if stage == 0 else 2), _Basic(after, after, 1)]
            before = after
        self.stages = nn.Sequential(*stages)
        self.width = width

    def features(self, size: int) -> int:
        """Length of the representation of images of this size."""
        return 8 * self.width * (size // 32) ** 2

    def forward(self, images: Tensor) -> Tensor:
        """Images `[B, 3, H, W]`, multiples of 32, to `[B, 8 width H W / 1024]` (2048 at 64x64)."""
        x = functional.relu(self.bn1(self.conv1(images)))
        return functional.avg_pool2d(self.stages(x), 4).flatten(1)


class DilatedResNet50(nn.Module):
    """ResNet-50 whose last two stages are dilated instead of strided: the output has an eighth of the resolution.

    Parameters have the names of torchvision's ResNet-50, whose ImageNet weights can be loaded.

    Args:
        width: channels of the stem; the published 64 has 23,508,032 parameters.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.conv1 = _conv(3, width, 7, stride=2)
        self.bn1 = nn.BatchNorm2d(width)
        self.layer1 = _bottlenecks(width, width, 3)
        self.layer2 = _bottlenecks(4 * width, 2 * width, 4, stride=2)
        self.layer3 = _bottlenecks(8 * width, 4 * width, 6, first_dilation=1, dilation=2)
        self.layer4 = _bottlenecks(16 * width, 8 * width, 3, first_dilation=2, dilation=4)
        self.channels = 32 * width
        # MGDA's code draws these when it has no ImageNet weights: normal, by the number of outputs.
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                outputs = module.kernel_size[0] * module.kernel_size[1] * module.out_channels
                nn.init.normal_(module.weight, 0, math.sqrt(2 / outputs))

    def forward(self, images: Tensor) -> Tensor:
        """Images `[B, 3, H, W]` to `[B, channels, H/8, W/8]`."""
        x = functional.relu(self.bn1(self.conv1(images)))
        x = functional.max_pool2d(x, 3, stride=2, padding=1)
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))


class _Basic(nn.Module):
    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _conv(before, after, 3, stride)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = _conv(after, after, 3)
        self.bn2 = nn.BatchNorm2d(after)
        self.downsample = _projection(before, after, stride)

    def forward(self, x: Tensor) -> Tensor:
        inner = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(inner)) + self.downsample(x))


class _Bottleneck(nn.Module):
    def __init__(self, before: int, inner: int, stride: int, dilation: int) -> None:
        super().__init__()
        after = 4 * inner
        self.conv1 = _conv(before, inner, 1)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = _conv(inner, inner, 3, stride, dilation)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = _conv(inner, after, 1)
        self.bn3 = nn.BatchNorm2d(after)
        self.downsample = _projection(before, after, stride)

    def forward(self, x: Tensor) -> Tensor:
        inner = functional.relu(self.bn1(self.conv1(x)))
        inner = functional.relu(self.bn2(self.conv2(inner)))
        return functional.relu(self.bn3(self.conv3(inner)) + self.downsample(x))


def _bottlenecks(
    before: int, inner: int, number: int, stride: int = 1, first_dilation: int = 1, dilation: int = 1
) -> nn.Sequential:
    first = _Bottleneck(before, inner, stride, first_dilation)
    return nn.Sequential(first, *(_Bottleneck(4 * inner, inner, 1, dilation) for _ in range(number - 1)))


def _projection(before: int, after: int, stride: int) -> nn.Module:
    if stride == 1 and before == after:
        return nn.Identity()
    return nn.Sequential(_conv(before, after, 1, stride), nn.BatchNorm2d(after))


def _conv(before: int, after: int, size: int, stride: int = 1, dilation: int = 1) -> nn.Conv2d:
    padding = dilation * (size // 2)
    return nn.Conv2d(before, after, size, stride, padding, dilation, bias=False)


def load_imagenet_weights(network: DilatedResNet50, state: dict[str, Tensor]) -> None:
    """Takes the weights of torchvision's ResNet-50, its classifier aside.

    Raises:
        RuntimeError: names or shapes are others.
    """
    network.load_state_dict({name: torch.as_tensor(x) for name, x in state.items() if not name.startswith("fc.")})
