"""NYUv2 with three tasks: 13 classes, depth and surface normals of rooms (Silberman et al. 2012; MTAN's files).

Protocol: Navon et al. 2022 (Nash-MTL), section 6.2. Deviations: metrics are pooled over all pixels of the split (the
published code takes means over batches, of their medians too); normals that augmentation interpolates have unit length;
MTAN's masks belong to their tasks (`network: mtan_published` has them shared, as published).
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

CLASSES = 13
MOST_DEPTH = 100.0
"""Metres; larger values are no rooms."""
IMAGES = (795, 654)
SIZE = (288, 384)
METRICS = (
    Metric("mean_iou", "segmentation", True, "%"),
    Metric("pixel_accuracy", "segmentation", True, "%"),
    Metric("depth_absolute_error", "depth", False, "m"),
    Metric("depth_relative_error", "depth", False),
    Metric("normal_mean_angle", "normal", False, "degrees"),
    Metric("normal_median_angle", "normal", False, "degrees"),
    Metric("normal_below_11.25", "normal", True, "%"),
    Metric("normal_below_22.5", "normal", True, "%"),
    Metric("normal_below_30", "normal", True, "%"),
)
SINGLE_TASK = (38.30, 63.76, 0.6754, 0.2780, 25.01, 19.21, 30.14, 57.20, 69.15)
"""Navon et al. 2022, table 2."""


class NYUv2(Section):
    """Rooms: segmentation, depth and surface normals."""

    name: Literal["nyuv2"] = "nyuv2"
    """NYUv2 in MTAN's files, `{train,val}/{image,label,depth,normal}/<number>.npy`."""
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
    cache_gib: Annotated[float, Field(ge=0, le=1e6)] = 4.0
    """A split is kept in memory if it takes no more than this."""

    @property
    def tasks(self) -> tuple[str, ...]:
        return ("segmentation", "depth", "normal")

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return METRICS

    @property
    def published_single_task(self) -> Mapping[str, float] | None:
        if (self.width, self.image_height, self.image_width, self.augment) != (64, *SIZE, True):
            return None
        return dict(zip((metric.name for metric in METRICS), SINGLE_TASK, strict=True))

    def data(self, folder: Path | None, seed: int) -> Data:
        root = require_folder(folder, "NYUv2", "{train,val}/{image,label,depth,normal}/<number>.npy")
        images = [mtan_files.count(root, split, ("image", "label", "depth", "normal")) for split in ("train", "val")]
        train, test = (self._split(root, split, n) for split, n in zip(("train", "val"), images, strict=True))
        return Data(train, None, test, source("NYUv2", root, images), is_full(root, images, IMAGES))

    def _split(self, root: Path, split: str, count: int) -> FileSplit:
        size = (self.image_height, self.image_width)
        read = mtan_files.Reader(root, split, size, "label", CLASSES, MOST_DEPTH, normals=True)
        # Twice as large is half as far away.
        return FileSplit(read, count, scene_tasks.maker(self.augment, lambda zoom: 1 / zoom), self.cache_gib)

    def model(self) -> MultiTaskModel:
        return scene_tasks.network(self.network, CLASSES, normals=True, width=self.width)

    def losses(self, outputs: Sequence[Tensor], batch: Batch) -> list[Tensor]:
        return scene_tasks.losses(outputs, batch.targets)

    def meter(self, split: Split) -> scene_tasks.SceneMeter:
        return scene_tasks.SceneMeter([metric.name for metric in METRICS], CLASSES)
