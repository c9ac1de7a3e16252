"""Cityscapes with two tasks: 7 classes and inverse depth of streets (Cordts et al. 2016; MTAN's files).

Protocol: Navon et al. 2022 (Nash-MTL), section 6.2, whose code for it was not released; details as in CAGrad's and
FAMO's. Deviations: metrics are pooled over all pixels of the split (the published code takes means over batches);
enlarging multiplies inverse depth (`published_zoom` divides it, as published); MTAN's masks belong to their tasks
(`network: mtan_published` has them shared, as published).
"""

from typing import Literal

from torch import Tensor

from mtrl.benchmarks.vision.scene_tasks import Pixels, SceneBenchmark
from mtrl.supervised.benchmark import Metric


class Cityscapes2(SceneBenchmark):
    """Streets: segmentation and inverse depth."""

    title = "Cityscapes"
    label = "label_7"
    classes = 7
    most_depth = 1.0  # inverse; MTAN's files have 0 to about 0.49
    images = (2975, 500)
    size = (128, 256)
    tasks = ("segmentation", "depth")
    metrics = (
        Metric("mean_iou", "segmentation", True, "%"),
        Metric("pixel_accuracy", "segmentation", True, "%"),
        Metric("depth_absolute_error", "depth", False),
        Metric("depth_relative_error", "depth", False),
    )
    # Navon et al. 2022, table 3. The relative error is a mean of quotients by inverse depths close to zero.
    single_task = (74.01, 93.16, 0.0125, 27.77)

    name: Literal["cityscapes2"] = "cityscapes2"
    """Cityscapes in MTAN's files, `{train,val}/{image,label_7,depth}/<number>.npy`."""
    image_height: Pixels = size[0]
    """Rows of pixels; larger files are reduced."""
    image_width: Pixels = size[1]
    """Columns of pixels; larger files are reduced."""
    published_zoom: bool = False
    """Divide inverse depth by the enlargement, as the published code does, where multiplying is right."""

    def depth_of_zoom(self, zoom: Tensor) -> Tensor:
        return 1 / zoom if self.published_zoom else zoom
