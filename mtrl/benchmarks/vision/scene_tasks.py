"""What NYUv2 and Cityscapes have in common in MTAN's form: classes, depth and perhaps normals of every pixel.

Protocol of Navon et al. 2022 (section 6.2), network of Liu, Johns and Davison 2019. Axes: `B` batch, `K` classes, `H`
rows and `W` columns of pixels.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Generator, Tensor
from torch.nn import functional

from mtrl.benchmarks.vision import mtan_files
from mtrl.benchmarks.vision.augmentation import draw_crops, draw_flips, flip, flip_vectors
from mtrl.benchmarks.vision.files import is_full, require_folder, source
from mtrl.benchmarks.vision.losses import absolute_loss, has_value, normal_loss, segmentation_loss
from mtrl.benchmarks.vision.meters import AbsoluteError, Angles, Segmentation, require_labels
from mtrl.benchmarks.vision.models import (
    LEVELS,
    DenseNetwork,
    Head,
    MTANNetwork,
    SegNet,
    SegNetMTAN,
)
from mtrl.benchmarks.vision.samples import FileSplit
from mtrl.runs.section import Few, Section
from mtrl.supervised.benchmark import Batch, Data, Metric, MultiTaskModel, Split

Network = Literal["mtan", "mtan_published", "segnet"]
Make = Callable[[Sequence[Tensor], Generator | None], Batch]
MULTIPLE = 2**LEVELS
"""Rows and columns of the network's pictures are multiples of it."""
Pixels = Annotated[int, Field(gt=0, le=8_192, multiple_of=MULTIPLE)]
LEAST_LENGTH = 1e-3
"""Of a normal that lies between others; next to a hole they may cancel."""


class Targets(NamedTuple):
    """The targets of a batch."""

    classes: Tensor
    """int64 `[B, H, W]`, -1 for none."""
    depth: Tensor
    """`[B, 1, H, W]`, 0 for none; a depth or an inverse depth."""
    normal: Tensor
    """Unit, `[B, 3, H, W]`, 0 for none; without channels where there is no such task."""


def maker(augment: bool, depth_of_zoom: Callable[[Tensor], Tensor]) -> Make:
    """What turns the arrays of a sample into a batch, see `FileSplit`.

    Args:
        augment: crop, enlarge and mirror if there is a generator.
        depth_of_zoom: by what an enlargement `[B]` changes depth.
    """

    def make(arrays: Sequence[Tensor], generator: Generator | None) -> Batch:
        image, classes, depth, *rest = arrays
        normal = rest[0] if rest else image[:, :0]
        targets = Targets(classes.long(), depth, normal)
        if generator is None or not augment:
            return Batch(image, targets)
        return _augmented(image, targets, generator, depth_of_zoom)

    return make


def _augmented(
    image: Tensor, targets: Targets, generator: Generator, depth_of_zoom: Callable[[Tensor], Tensor]
) -> Batch:
    """Scale 1, 1.2 or 1.5, a crop of the old size, a mirror image."""
    crops = draw_crops(len(image), (image.shape[-2], image.shape[-1]), generator)
    mirrored = draw_flips(len(image), generator)
    classes = flip(crops.nearest(targets.classes[:, None]), mirrored)[:, 0]
    depth = flip(crops.nearest(targets.depth), mirrored) * depth_of_zoom(crops.scale).float()[:, None, None, None]
    normal = targets.normal
    if normal.shape[1] > 0:
        # Published code: interpolated normals are left shorter than 1.
        between = crops.bilinear(normal)
        length = between.norm(dim=1, keepdim=True)
        between = torch.where(length > LEAST_LENGTH, functional.normalize(between, dim=1), 0.0)
        normal = flip_vectors(between, mirrored, channel=0)
    return Batch(flip(crops.bilinear(image), mirrored), Targets(classes, depth, normal))


def network(kind: Network, classes: int, normals: bool, width: int) -> MultiTaskModel:
    """The published networks; `width` 64 is theirs."""
    heads = [Head(width, classes), Head(width, 1)] + [Head(width, 3, unit_length=True)] * normals
    if kind == "segnet":
        return DenseNetwork(SegNet(width), heads)
    trunk = SegNetMTAN(len(heads), width)
    return MTANNetwork(trunk, heads, share_masks=kind == "mtan_published")


class SceneMeter:
    """Metrics of a pass over a split, in the order of the papers' tables.

    Args:
        names: of the metrics: four, or nine with normals.
        classes: their number.
    """

    def __init__(self, names: Sequence[str], classes: int) -> None:
        self.names = names
        self.segmentation, self.depth, self.angles = Segmentation(classes), AbsoluteError(), Angles()

    def update(self, outputs: Sequence[Tensor], batch: Batch) -> None:
        """See `Meter`."""
        targets: Targets = batch.targets
        self.segmentation.update(outputs[0], targets.classes)
        self.depth.update(outputs[1], targets.depth, has_value(targets.depth))
        if len(outputs) > 2:
            self.angles.update(outputs[2], targets.normal)

    def result(self) -> dict[str, float]:
        """See `Meter`."""
        require_labels({"segmentation": int(self.segmentation.counts.sum()), "depth": self.depth.values})
        values = [self.segmentation.mean_iou(), self.segmentation.pixel_accuracy()]
        values += [self.depth.mean(), self.depth.mean_relative()]
        if self.angles.batches:
            require_labels({"normal": sum(map(len, self.angles.batches))})
            mean, median, shares = self.angles.result()
            values += [mean, median, *shares]
        return dict(zip(self.names, values, strict=True))


class SceneBenchmark(Section):
    """Pictures in MTAN's files; a subclass says of what, and has the size of the published ones."""

    name: str
    network: Network = "mtan"
    """`mtan`: SegNet with attention masks that belong to their tasks; `mtan_published`: the same, but the masks count
    as shared, as in Nash-MTL's code; `segnet`: a shared SegNet, which with one task is the papers' baseline."""
    width: Few = 64
    """Channels of the network's finest level; published: 64."""
    image_height: Pixels
    image_width: Pixels
    augment: bool = True
    """Train on random crops, enlarged by 1, 1.2 or 1.5, and on mirror images."""

    cache_gib: Annotated[float, Field(ge=0, le=1e6)] = 4.0
    """A split is kept in memory if it takes no more than this."""

    title: ClassVar[str]
    """Of the data set."""
    label: ClassVar[str]
    """Folder of the labels."""
    classes: ClassVar[int]
    most_depth: ClassVar[float]
    """No depth is larger."""
    images: ClassVar[tuple[int, int]]
    """Published: for training, for the test."""
    size: ClassVar[tuple[int, int]]
    """Published: rows and columns."""
    tasks: ClassVar[tuple[str, ...]]
    metrics: ClassVar[tuple[Metric, ...]]
    single_task: ClassVar[tuple[float, ...]]
    """Published, in the order of the metrics."""

    @property
    def published_single_task(self) -> Mapping[str, float] | None:
        if (self.width, self.image_height, self.image_width, self.augment) != (64, *self.size, True):
            return None
        return dict(zip((metric.name for metric in self.metrics), self.single_task, strict=True))

    @abstractmethod
    def depth_of_zoom(self, zoom: Tensor) -> Tensor:
        """What depth is multiplied by where an image is enlarged, `[B]`."""

    def data(self, folder: Path | None, seed: int) -> Data:
        kinds = ("image", self.label, *self.tasks[1:])  # the files of depths and normals are called like the tasks
        root = require_folder(folder, self.title, f"{{train,val}}/{{{','.join(kinds)}}}/<number>.npy")
        images = [mtan_files.count(root, split, kinds) for split in ("train", "val")]
        train, test = (self._split(root, split, n) for split, n in zip(("train", "val"), images, strict=True))
        return Data(train, None, test, source(self.title, root, images), is_full(root, images, self.images))

    def _split(self, root: Path, split: str, count: int) -> FileSplit:
        size = (self.image_height, self.image_width)
        read = mtan_files.Reader(root, split, size, self.label, self.classes, self.most_depth, self._normals)
        return FileSplit(read, count, maker(self.augment, self.depth_of_zoom), self.cache_gib)

    def model(self) -> MultiTaskModel:
        return network(self.network, self.classes, self._normals, self.width)

    def losses(self, outputs: Sequence[Tensor], batch: Batch) -> list[Tensor]:
        """Cross-entropy, mean absolute error of depth, one minus the mean cosine of normals."""
        targets: Targets = batch.targets
        found = [
            segmentation_loss(outputs[0], targets.classes),
            absolute_loss(outputs[1], targets.depth, has_value(targets.depth)),
        ]
        return [*found, *(normal_loss(output, targets.normal) for output in outputs[2:])]

    def meter(self, split: Split) -> SceneMeter:
        return SceneMeter([metric.name for metric in self.metrics], self.classes)

    @property
    def _normals(self) -> bool:
        return "normal" in self.tasks
