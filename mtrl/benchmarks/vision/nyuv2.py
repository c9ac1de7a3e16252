"""NYUv2 with three tasks: 13 classes, depth and surface normals of rooms (Silberman et al. 2012; MTAN's files).

Protocol: Navon et al. 2022 (Nash-MTL), section 6.2. Deviations: metrics are pooled over all pixels of the split (the
published code takes means over batches, of their medians too); normals that augmentation interpolates have unit length;
MTAN's masks belong to their tasks (`network: mtan_published` has them shared, as published).
"""

from typing import Literal

from torch import Tensor

from mtrl.benchmarks.vision.scene_tasks import Pixels, SceneBenchmark
from mtrl.supervised.benchmark import Metric


class NYUv2(SceneBenchmark):
    """Rooms: segmentation, depth and surface normals."""

    title = "NYUv2"
    label = "label"
    classes = 13
    most_depth = 100.0  # metres; larger values are no rooms
    images = (795, 654)
    size = (288, 384)
    tasks = ("segmentation", "depth", "normal")
    metrics = (
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
    single_task = (38.30, 63.76, 0.6754, 0.2780, 25.01, 19.21, 30.14, 57.20, 69.15)  # Navon et al. 2022, table 2

    name: Literal["nyuv2"] = "nyuv2"
    """NYUv2 in MTAN's files, `{train,val}/{image,label,depth,normal}/<number>.npy`."""
    image_height: Pixels = size[0]
    """Rows of pixels; larger files are reduced."""
    image_width: Pixels = size[1]
    """Columns of pixels; larger files are reduced."""

    def depth_of_zoom(self, zoom: Tensor) -> Tensor:
        return 1 / zoom  # twice as large is half as far away
