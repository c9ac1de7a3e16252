"""Networks with an output per pixel: a shared trunk, and for each task a decoder or, on MTAN, masks and a prediction.

Axes: `T` tasks, `B` batch, `C` channels, `H` rows and `W` columns of pixels.
"""

from collections.abc import Iterator, Sequence

from torch import Tensor, nn
from torch.nn import Parameter, functional

from mtrl.benchmarks.vision.models.segnet import initialise
from mtrl.benchmarks.vision.models.segnet_mtan import SegNetMTAN
from mtrl.supervised.benchmark import MultiTaskModel


class DenseNetwork(MultiTaskModel):
    """The heads all read the trunk's output."""

    def __init__(self, trunk: nn.Module, heads: Sequence[nn.Module]) -> None:
        super().__init__()
        self.trunk = trunk
        self.heads = nn.ModuleList(heads)

    def represent(self, images: Tensor) -> Tensor:
        """Images `[B, 3, H, W]` to `[B, C, ...]`."""
        return self.trunk(images)

    def predict(self, representation: Tensor) -> list[Tensor]:
        """Outputs per task, `[B, channels, H, W]`."""
        return [head(representation) for head in self.heads]

    def shared_parameters(self) -> Iterator[Parameter]:
        """The trunk's."""
        return self.trunk.parameters()


class MTANNetwork(MultiTaskModel):
    """A network on MTAN's SegNet; the representation is what each task's prediction reads.

    Args:
        trunk: the SegNet and its masks.
        heads: predictions, one per task.
        share_masks: count the masks as shared, as Nash-MTL's code does with all but the predictions. Through them a
            task's gradient has entries that no other has: they count in its norm, not in inner products.
    """

    def __init__(self, trunk: SegNetMTAN, heads: Sequence[nn.Module], share_masks: bool) -> None:
        super().__init__()
        self.trunk = trunk
        self.heads = nn.ModuleList(heads)
        self.share_masks = share_masks

    def represent(self, images: Tensor) -> list[Tensor]:
        """Features per task, `[B, width, H, W]`."""
        return self.trunk(images)

    def predict(self, representation: Sequence[Tensor]) -> list[Tensor]:
        """Outputs per task, `[B, channels, H, W]`."""
        return [head(x) for head, x in zip(self.heads, representation, strict=True)]

    def shared_parameters(self) -> Iterator[Parameter]:
        """Those that serve all tasks, and the masks' if these are shared."""
        return self.trunk.parameters() if self.share_masks else self.trunk.common_parameters()


class Head(nn.Sequential):
    """MTAN's prediction of one task: 3x3, then 1x1, without an activation in between."""

    def __init__(self, width: int, outputs: int, unit_length: bool = False) -> None:
        super().__init__(nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, outputs, 1))
        if unit_length:
            self.append(UnitLength())
        initialise(self)


class UnitLength(nn.Module):
    """Vectors along the channels, divided by their length."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.normalize(x, dim=1)


class Upsampled(nn.Module):
    """A decoder whose output is brought to another resolution."""

    def __init__(self, decoder: nn.Module, factor: int) -> None:
        super().__init__()
        self.decoder = decoder
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        x = self.decoder(x)
        if self.factor == 1:
            return x
        return functional.interpolate(x, scale_factor=self.factor, mode="bilinear", align_corners=False)
