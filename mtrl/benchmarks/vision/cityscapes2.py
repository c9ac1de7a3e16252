"""Cityscapes with two tasks: 7 classes and inverse depth of streets (Cordts et al. 2016; MTAN's files).

Protocol: Navon et al. 2022 (Nash-MTL), section 6.2, whose code for it was not released; details as in CAGrad's and
FAMO's. Deviations: metrics are pooled over all pixels of the split (the published code takes means over batches);
enlarging multiplies inverse depth (`published_zoom` divides it, as published); MTAN's masks belong to their tasks
(`network: mtan_published` has them shared, as published).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor

from mtrl.benchmarks.vision import mtan_files, scene_tasks
from mtrl.benchmarks.vision.files import is_full, require_folder, source
from mtrl.benchmarks.vision.samples import FileSplit
from mtrl.runs.section import Few, Section
from mtrl.supervised.benchmark import Batch, Data, Metric, MultiTaskModel, Split

CLASSES = 7
MOST_INVERSE_DEPTH = 1.0
"""MTAN's files have 0 to about 0.49."""
IMAGES = (2975, 500)
SIZE = (128, 256)
METRICS = (
    Metric("mean_iou", "segmentation", True, "%"),
    Metric("pixel_accuracy", "segmentation", True, "%"),
    Metric("depth_absolute_error", "depth", False),
    Metric("depth_relative_error", "depth", False),
)
SINGLE_TASK = (74.01, 93.16, 0.0125, 27.77)
"""Navon et al. 2022, table 3. The relative error is a mean of quotients by inverse depths close to zero."""


class Cityscapes2(Section):
    """Streets: segmentation and inverse depth."""

    name: Literal["cityscapes2"] = "cityscapes2"
    """Cityscapes in MTAN's files, `{train,val}/{image,label_7,depth}/<number>.npy`."""
    network: scene_tasks.Network = "mtan"
    """`mtan`: SegNet with attention masks that belong to their tasks; `mtan_published`: the same, but the masks count
    as shared, as in Nash-MTL's code; `segnet`: a shared SegNet, which with one task is the papers' baseline."""
    width: Few = 64
    """Channels of the network's finest level; published: 64."""
    image_height: Annotated[int, Field(gt=0, le=8_192, multiple_of=scene_tasks.MULTIPLE)] = SIZE[0]
    """Rows of pixels; larger files are reduced."""
    image_width: Annotated[int, Field(gt=0, le=8_192, multiple_of=scene_tasks.MULTIPLE)] = SIZE[1]
    """Columns of pixels; larger files are reduced."""
    augment: bool = True
    """Train on random crops, enlarged by 1, 1.2 or 1.5, and on mirror images."""
    published_zoom: bool = False
    """Divide inverse depth by the enlargement, as the published code does, where multiplying is right."""
    cache_gib: Annotated[float, Field(ge=0, le=1e6)] = 4.0
    """A split is kept in memory if it takes no more than this."""

    @property
    def tasks(self) -> tuple[str, ...]:
        return ("segmentation", "depth")

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return METRICS

    @property
    def published_single_task(self) -> Mapping[str, float] | None:
        if (self.width, self.image_height, self.image_width, self.augment) != (64, *SIZE, True):
            return None
        return dict(zip((metric.name for metric in METRICS), SINGLE_TASK, strict=True))

    def data(self, folder: Path | None, seed: int) -> Data:
        root = require_folder(folder, "Cityscapes", "{train,val}/{image,label_7,depth}/<number>.npy")
        images = [mtan_files.count(root, split, ("image", "label_7", "depth")) for split in ("train", "val")]
        train, test = (self._split(root, split, n) for split, n in zip(("train", "val"), images, strict=True))
        return Data(train, None, test, source("Cityscapes", root, images), is_full(root, images, IMAGES))

    def _split(self, root: Path, split: str, count: int) -> FileSplit:
        size = (self.image_height, self.image_width)
        read = mtan_files.Reader(root, split, size, "label_7", CLASSES, MOST_INVERSE_DEPTH, normals=False)
        make = scene_tasks.maker(self.augment, lambda zoom: 1 / zoom if self.published_zoom else zoom)
        return FileSplit(read, count, make, self.cache_gib)

    def model(self) -> MultiTaskModel:
        return scene_tasks.network(self.network, CLASSES, normals=False, width=self.width)

    def losses(self, outputs: Sequence[Tensor], batch: Batch) -> list[Tensor]:
        return scene_tasks.losses(outputs, batch.targets)

    def meter(self, split: Split) -> scene_tasks.SceneMeter:
        return scene_tasks.SceneMeter([metric.name for metric in METRICS], CLASSES)
