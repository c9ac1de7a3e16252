"""Networks of the vision benchmarks. Width is a parameter, so that each also runs small; the papers' is the default.

Axes: `T` tasks, `B` batch, `C` channels, `H` rows and `W` columns of pixels.
"""

from mtrl.benchmarks.vision.models.attributes import AttributeHeads, AttributeNetwork
from mtrl.benchmarks.vision.models.dense import DenseNetwork, Head, MTANNetwork, Upsampled
from mtrl.benchmarks.vision.models.plain_cnn import PlainCNN
from mtrl.benchmarks.vision.models.pyramid_pooling import PyramidPooling
from mtrl.benchmarks.vision.models.resnet import DilatedResNet50, SmallResNet18, load_imagenet_weights
from mtrl.benchmarks.vision.models.segnet import LEVELS, SegNet
from mtrl.benchmarks.vision.models.segnet_mtan import SegNetMTAN

__all__ = [
    "LEVELS",
    "AttributeHeads",
    "AttributeNetwork",
    "DenseNetwork",
    "DilatedResNet50",
    "Head",
    "MTANNetwork",
    "PlainCNN",
    "PyramidPooling",
    "SegNet",
    "SegNetMTAN",
    "SmallResNet18",
    "Upsampled",
    "load_imagenet_weights",
]
