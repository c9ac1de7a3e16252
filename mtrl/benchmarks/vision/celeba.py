"""CelebA's forty attributes as forty tasks (Liu et al. 2015; Sener and Koltun 2018, section 5.2; Liu et al. 2023).

Deviations from Sener and Koltun's code: pictures are RGB in [0, 1] (there: BGR, each stretched to its own range); files
and labels are matched by name. Axes: `T` attributes, `B` batch.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field
from torch import Generator, Tensor
from torch.nn import functional

from mtrl.benchmarks.vision.celeba_files import LAYOUT, NAMES, Table, read_tables
from mtrl.benchmarks.vision.files import is_full, read_picture, require_folder, source
from mtrl.benchmarks.vision.meters import Attributes
from mtrl.benchmarks.vision.models import AttributeNetwork, PlainCNN, SmallResNet18
from mtrl.benchmarks.vision.samples import Arrays, FileSplit
from mtrl.runs.errors import UserError
from mtrl.runs.section import Few, Section
from mtrl.supervised.benchmark import Batch, Data, Metric, MultiTaskModel, Split

IMAGES = (162_770, 19_867, 19_962)
SINGLE_TASK_F1 = (
    *(67.36886, 68.121034, 81.524944, 57.60289, 72.05613, 85.55076, 38.203922, 58.225113, 78.7647, 83.21292),
    *(50.29583, 68.694085, 67.81237, 52.40381, 51.61666, 95.694304, 69.68786, 67.976356, 88.08315, 85.82131),
    *(97.034, 93.267566, 50.57539, 40.307626, 97.03734, 48.644206, 60.786104, 52.61031, 56.907415, 59.815097),
    *(68.58371, 92.4108, 54.24991, 74.06311, 71.019936, 87.365365, 93.05602, 33.704284, 76.47628, 91.907),
)
"""F1 in %, by FAMO's authors (issue 2 of their repository). Of Sener and Koltun there is the mean error alone, 8.77."""


class CelebA(Section):
    """Faces: forty attributes, each a task."""

    name: Literal["celeba"] = "celeba"
    """CelebA, aligned pictures: `Img/`, `Anno/`, `Eval/`, or everything in one folder."""
    network: Literal["resnet18", "plain_cnn"] = "resnet18"
    """`resnet18`: ResNet-18 for small images, two outputs per attribute (Sener and Koltun); `plain_cnn`: nine
    layers, one output per attribute (FAMO)."""
    width: Few = 64
    """Channels of the network's first layer; published: 64."""
    image_size: Annotated[int, Field(gt=0, le=8_192, multiple_of=32)] = 64
    """Rows and columns that pictures are brought to; published: 64."""
    score: Literal["error", "f1"] = "error"
    """Metric of each attribute: the share of wrong answers (Sener and Koltun), or F1 (FAMO); both in %."""
    cache_gib: Annotated[float, Field(ge=0, le=1e6)] = 4.0
    """A split is kept in memory, a byte per value, if it takes no more than this (2 GiB for the training split)."""

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(NAMES)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return tuple(Metric(f"{self.score}_{name}", name, self.score == "f1", "%") for name in NAMES)

    @property
    def published_single_task(self) -> Mapping[str, float] | None:
        if (self.network, self.width, self.image_size, self.score) != ("plain_cnn", 64, 64, "f1"):
            return None
        return dict(zip((metric.name for metric in self.metrics), SINGLE_TASK_F1, strict=True))

    def data(self, folder: Path | None, seed: int) -> Data:
        root = require_folder(folder, "CelebA", LAYOUT)
        table = read_tables(root)
        splits = [self._split(table, number) for number in range(3)]
        images = [len(split) for split in splits]
        train, validation, test = splits
        return Data(train, validation, test, source("CelebA", root, images), is_full(root, images, IMAGES))

    def _split(self, table: Table, number: int) -> FileSplit:
        rows = np.flatnonzero(table.splits == number)
        if len(rows) == 0:
            raise UserError(f"{table.partition} names no image of split {number}; expected 0, 1 and 2")

        def read(index: int) -> Arrays:
            row = rows[index]
            return read_picture(table.images[row], (self.image_size, self.image_size)), table.attributes[row]

        return FileSplit(read, len(rows), _batch, self.cache_gib)

    def model(self) -> MultiTaskModel:
        if self.network == "resnet18":
            return AttributeNetwork(SmallResNet18(self.width), len(NAMES), 2, self.image_size)
        return AttributeNetwork(PlainCNN(self.width), len(NAMES), 1, self.image_size)

    def losses(self, outputs: Tensor, batch: Batch) -> list[Tensor]:
        true: Tensor = batch.targets.mT
        if outputs.shape[-1] == 1:
            entropies = functional.binary_cross_entropy_with_logits(outputs[..., 0], true.float(), reduction="none")
        else:
            entropies = functional.cross_entropy(outputs.flatten(0, 1), true.long().flatten(), reduction="none")
        return list(entropies.view(true.shape).mean(1).unbind())

    def meter(self, split: Split) -> "_Meter":
        return _Meter(self.score)


class _Meter:
    def __init__(self, score: Literal["error", "f1"]) -> None:
        self.score = score
        self.attributes = Attributes(len(NAMES))

    def update(self, outputs: Tensor, batch: Batch) -> None:
        log_odds = outputs[..., 0] if outputs.shape[-1] == 1 else outputs[..., 1] - outputs[..., 0]
        self.attributes.update(log_odds > 0, batch.targets.mT)

    def result(self) -> dict[str, float]:
        values = self.attributes.f1() if self.score == "f1" else self.attributes.errors()
        return {f"{self.score}_{name}": value for name, value in zip(NAMES, values, strict=True)}


def _batch(arrays: Sequence[Tensor], generator: Generator | None) -> Batch:
    images, attributes = arrays
    return Batch(images.float() / 255, attributes)
