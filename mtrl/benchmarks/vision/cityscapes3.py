"""Cityscapes with three tasks: 19 classes, offsets to the middle of instances, disparity (Cordts et al. 2016).

Protocol: Sener and Koltun 2018, section 5.3. Deviations from their code: disparities are valid where they are measured
(there: where they exceed the mean), the map of mean disparities, which was never released, is taken from the training
pictures, errors are pooled without rounding to whole numbers, pictures are in [0, 1] minus ImageNet's mean over its
deviation (there: each stretched to its own range), offsets are turned with the picture (there: computed after turning
it). The losses of offsets and disparity are mean absolute errors as in the code (paper: squared).
Axes: `B` batch, `H` rows and `W` columns of pixels.
"""

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Generator, Tensor

from mtrl.benchmarks.vision import cityscapes_files
from mtrl.benchmarks.vision.augmentation import draw_angles, draw_flips, flip, flip_vectors, turn, turn_offsets
from mtrl.benchmarks.vision.files import is_full, picture_size, read_map, read_picture, require_folder, source
from mtrl.benchmarks.vision.losses import IGNORED, absolute_loss, segmentation_loss
from mtrl.benchmarks.vision.meters import AbsoluteError, Segmentation, require_labels
from mtrl.benchmarks.vision.models import (
    DenseNetwork,
    DilatedResNet50,
    PyramidPooling,
    Upsampled,
    load_imagenet_weights,
)
from mtrl.benchmarks.vision.mtan_files import nearest
from mtrl.benchmarks.vision.samples import Arrays, FileSplit
from mtrl.runs.errors import UserError
from mtrl.runs.section import Few, NonNegative, PathText, Section
from mtrl.supervised.benchmark import Batch, Data, Metric, MultiTaskModel, Split

CLASSES = len(cityscapes_files.LABEL_IDS)
IMAGES = (2975, 500)
SIZE = (256, 512)
STRIDE = 8
"""Of the trunk."""
DISPARITY_DEVIATION = 2729.068
"""Sener and Koltun's, in the files' units."""
UNITS_PER_PIXEL = 256
"""Of the files' disparities, which are 256 times those in pixels, plus 1; 0 where nothing was measured."""
MOST_TURN = 10.0
"""Degrees."""
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's pictures."""
METRICS = (
    Metric("mean_iou", "segmentation", True, "%"),
    Metric("instance_error", "instance", False, "px"),
    Metric("disparity_error", "disparity", False, "px"),
)
SINGLE_TASK = (60.68, 11.34, 2.78)
"""Sener and Koltun 2018, table 4."""


class Targets(NamedTuple):
    """The targets of a batch."""

    classes: Tensor
    """int64 `[B, H, W]`, -1 for none."""
    offsets: Tensor
    """From the instance's middle, `(y, x)` in pixels of the files, `[B, 2, H, W]`; 0 where there is none."""
    counted: Tensor
    """Where there are offsets, bool `[B, 1, H, W]`."""
    disparity: Tensor
    """Minus the mean there, over the deviation, `[B, 1, H, W]`; 0 where there is none."""
    measured: Tensor
    """Where there are disparities, bool `[B, 1, H, W]`."""


class Cityscapes3(Section):
    """Streets: segmentation, instances and disparity."""

    name: Literal["cityscapes3"] = "cityscapes3"
    """Cityscapes' official archives: `leftImg8bit/`, `gtFine/`, `disparity/`."""
    width: Few = 64
    """Channels of the ResNet-50's stem; published: 64."""
    image_height: Annotated[int, Field(gt=0, le=8_192, multiple_of=STRIDE)] = SIZE[0]
    """Rows of pixels that pictures are reduced to; published: 256."""
    image_width: Annotated[int, Field(gt=0, le=8_192, multiple_of=STRIDE)] = SIZE[1]
    """Columns of pixels that pictures are reduced to; published: 512."""
    label_stride: Literal[1, 2, 4, 8] = 1
    """Labels are at the resolution of the pictures divided by this: 1 as in the paper, 8 as in its code."""
    weights: PathText | None = None
    """File of ImageNet weights of a ResNet-50, in torchvision's form; published with them. null: drawn."""
    held_out: NonNegative = 0
    """Training pictures that are kept for validation; the paper's search for the step size has 275."""
    augment: bool = True
    """Train on pictures turned by up to 10 degrees, and on mirror images."""
    cache_gib: Annotated[float, Field(ge=0, le=1e6)] = 4.0
    """A split is kept in memory if it takes no more than this."""

    @property
    def tasks(self) -> tuple[str, ...]:
        return ("segmentation", "instance", "disparity")

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return METRICS

    @property
    def published_single_task(self) -> Mapping[str, float] | None:
        mine = (self.width, self.image_height, self.image_width, self.label_stride, self.augment, self.held_out)
        if mine != (64, *SIZE, 1, True, 0) or self.weights is None:
            return None
        return dict(zip((metric.name for metric in METRICS), SINGLE_TASK, strict=True))

    def data(self, folder: Path | None, seed: int) -> Data:
        root = require_folder(folder, "Cityscapes", cityscapes_files.LAYOUT)
        found, test = cityscapes_files.find(root, "train"), cityscapes_files.find(root, "val")
        images = [len(found), len(test)]
        if self.held_out >= len(found):
            raise UserError(f"held_out needs to be below the {len(found)} pictures of {root}, got {self.held_out}")
        order = torch.randperm(len(found), generator=Generator().manual_seed(seed)).tolist()
        train, held_out = ([found[i] for i in part] for part in (order[self.held_out :], order[: self.held_out]))
        mean = self._mean_disparity(train)
        validation = self._split(held_out, mean) if held_out else None
        full = is_full(root, images, IMAGES) and not held_out
        return Data(
            self._split(train, mean), validation, self._split(test, mean), source("Cityscapes", root, images), full
        )

    def model(self) -> MultiTaskModel:
        trunk = DilatedResNet50(self.width)
        if self.weights is not None:
            _load(trunk, Path(self.weights))
        decoders = [PyramidPooling(trunk.channels, trunk.channels // 4, outputs) for outputs in (CLASSES, 2, 1)]
        return DenseNetwork(trunk, [Upsampled(decoder, STRIDE // self.label_stride) for decoder in decoders])

    def losses(self, outputs: Sequence[Tensor], batch: Batch) -> list[Tensor]:
        targets: Targets = batch.targets
        return [
            segmentation_loss(outputs[0], targets.classes),
            absolute_loss(outputs[1], targets.offsets, targets.counted),
            absolute_loss(outputs[2], targets.disparity, targets.measured),
        ]

    def meter(self, split: Split) -> "_Meter":
        return _Meter()

    @property
    def _size(self) -> tuple[int, int]:
        return self.image_height, self.image_width

    def _grid(self, files: cityscapes_files.Files) -> tuple[tuple[int, int], NDArray[np.int64], NDArray[np.int64]]:
        """Size of the files' pictures, and the rows and columns whose labels are kept."""
        before = picture_size(files.image)
        rows, columns = (nearest(n, m // self.label_stride) for n, m in zip(before, self._size, strict=True))
        return before, rows, columns

    def _mean_disparity(self, files: Sequence[cityscapes_files.Files]) -> NDArray[np.float32]:
        """The mean over the training pictures, `[H, W]`; where none has a value, the mean of all."""
        total, number = np.zeros(()), np.zeros(())
        for one in files:
            before, rows, columns = self._grid(one)
            disparity = read_map(one.disparity, before)[rows][:, columns].astype(np.float64)
            total, number = total + disparity, number + (disparity > 0)
        overall = total.sum() / max(number.sum(), 1)
        return np.where(number > 0, total / np.maximum(number, 1), overall).astype(np.float32)

    def _split(self, files: Sequence[cityscapes_files.Files], mean: NDArray[np.float32]) -> FileSplit:
        def read(index: int) -> Arrays:
            one = files[index]
            before, rows, columns = self._grid(one)
            label = cityscapes_files.classes(one.label, read_map(one.label, before)[rows][:, columns])
            offsets = cityscapes_files.offsets(read_map(one.instance, before), (rows, columns))
            disparity = read_map(one.disparity, before)[rows][:, columns].astype(np.float32)
            standard = np.where(disparity > 0, (disparity - mean) / DISPARITY_DEVIATION, np.nan)
            # Half precision holds offsets of up to 512 pixels to a quarter of one, and halves the memory.
            return read_picture(one.image, self._size), label, offsets.astype(np.float16), standard.astype(np.float16)

        return FileSplit(read, len(files), self._batch, self.cache_gib)

    def _batch(self, arrays: Sequence[Tensor], generator: Generator | None) -> Batch:
        pixels, classes, offsets, disparity = arrays
        image = (pixels.float() / 255 - _channels(MEAN)) / _channels(DEVIATION)
        maps = torch.cat((classes[:, None].float(), offsets.float(), disparity[:, None].float()), 1)
        if generator is not None and self.augment:
            angles, mirrored = (
                draw_angles(len(image), MOST_TURN, generator),
                draw_flips(len(image), generator),
            )
            image = flip(turn(image, angles, "bilinear"), mirrored)
            maps = _augmented(maps, angles, mirrored)
        offsets, disparity = maps[:, 1:3], maps[:, 3:]
        counted, measured = ~offsets[:, :1].isnan(), ~disparity.isnan()
        return Batch(
            image, Targets(maps[:, 0].long(), offsets.nan_to_num(0), counted, disparity.nan_to_num(0), measured)
        )


class _Meter:
    def __init__(self) -> None:
        self.segmentation, self.offsets, self.disparity = Segmentation(CLASSES), AbsoluteError(), AbsoluteError()

    def update(self, outputs: Sequence[Tensor], batch: Batch) -> None:
        targets: Targets = batch.targets
        self.segmentation.update(outputs[0], targets.classes)
        self.offsets.update(outputs[1], targets.offsets, targets.counted)
        self.disparity.update(outputs[2], targets.disparity, targets.measured)

    def result(self) -> dict[str, float]:
        values = int(self.segmentation.counts.sum()), self.offsets.values, self.disparity.values
        require_labels(dict(zip(("segmentation", "instance", "disparity"), values, strict=True)))
        scale = DISPARITY_DEVIATION / UNITS_PER_PIXEL
        errors = self.segmentation.mean_iou(), self.offsets.mean(), scale * self.disparity.mean()
        return dict(zip((metric.name for metric in METRICS), errors, strict=True))


def _augmented(maps: Tensor, angles: Tensor, mirrored: Tensor) -> Tensor:
    """Class, offset `(y, x)` and disparity, `[B, 4, H, W]`, turned and mirrored; at the sides none comes in."""
    none = torch.tensor([IGNORED, torch.nan, torch.nan, torch.nan])[:, None, None]
    inside = turn(torch.ones_like(maps[:, :1]), angles, "nearest") > 0.5
    # Nearest pixels take NaN along, where grid_sample would make one of NaN times 0: so through numbers.
    known = ~maps.isnan()
    maps = torch.where(known, maps, 0.0)
    maps, known = turn(maps, angles, "nearest"), turn(known.float(), angles, "nearest") > 0.5
    maps = torch.where(known & inside, maps, none)
    offsets = flip_vectors(turn_offsets(maps[:, 1:3], angles), mirrored, channel=1)
    others = flip(maps, mirrored)
    return torch.cat((others[:, :1], offsets, others[:, 3:]), 1)


def _channels(values: tuple[float, ...]) -> Tensor:
    return torch.tensor(values)[:, None, None]


def _load(trunk: DilatedResNet50, path: Path) -> None:
    try:
        load_imagenet_weights(trunk, torch.load(path, map_location="cpu", weights_only=True))
    except FileNotFoundError as error:
        raise UserError(f"weights: {path} is missing") from error
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError, ValueError, AttributeError) as error:
        line = str(error).splitlines()[0]
        raise UserError(f"weights: {path} does not hold a ResNet-50 of this width ({line})") from error
