"""A trunk and a linear head per attribute."""

from collections.abc import Iterator

from torch import Tensor
from torch.nn import Parameter

from mtrl.benchmarks.vision.models.attribute_heads import AttributeHeads
from mtrl.benchmarks.vision.models.plain_cnn import PlainCNN
from mtrl.benchmarks.vision.models.resnet import SmallResNet18
from mtrl.supervised.benchmark import MultiTaskModel


class AttributeNetwork(MultiTaskModel):
    """Of images `[B, 3, H, W]` whose outputs are `[T, B, K]`.

    Args:
        trunk: makes the representation.
        tasks: number of attributes, `T`.
        outputs: of a head, `K`: 2 for log-odds of both answers, 1 for one logit.
        size: of the images, in pixels.
    """

    def __init__(self, trunk: SmallResNet18 | PlainCNN, tasks: int, outputs: int, size: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.heads = AttributeHeads(tasks, trunk.features(size), outputs)

    def represent(self, images: Tensor) -> Tensor:
        """Features, `[B, F]`."""
        return self.trunk(images)

    def predict(self, representation: Tensor) -> Tensor:
        """Scores of each attribute, `[T, B, K]`."""
        return self.heads(representation)

    def shared_parameters(self) -> Iterator[Parameter]:
        """The trunk's."""
        return self.trunk.parameters()
