"""Cityscapes' official archives: `leftImg8bit/`, `gtFine/` and `disparity/`, a PNG per picture and kind.

Axes: `H` rows and `W` columns of pixels.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtrl.benchmarks.vision.losses import IGNORED
from mtrl.runs.errors import UserError

LAYOUT = "leftImg8bit/, gtFine/ and disparity/, each {train,val}/<city>/*.png"
LABEL_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
"""Of the 19 classes that count; the others are ignored."""
MOST_LABEL_ID = 33
LICENCE_PLATE = 255
"""Its id, -1, in a byte."""
INSTANCES = (24_000, 33_999)
"""Ids of instances, `1000 label + number`, are between; others are labels of what is not told apart, and of groups."""


class Files(NamedTuple):
    """The files of one picture."""

    image: Path
    label: Path
    instance: Path
    disparity: Path


def find(root: Path, split: str) -> list[Files]:
    """All pictures of a split, by city and name.

    Raises:
        UserError: there are none, or one lacks its labels or its disparity.
    """
    ending = "_leftImg8bit.png"
    images = sorted((root / "leftImg8bit" / split).glob(f"*/*{ending}"))
    if not images:
        raise UserError(f"{root / 'leftImg8bit' / split} has no <city>/*{ending}; expected {LAYOUT}")
    found = []
    for image in images:
        city, stem = image.parent.name, image.name.removesuffix(ending)
        fine = root / "gtFine" / split / city
        disparity = root / "disparity" / split / city / f"{stem}_disparity.png"
        label, instance = (fine / f"{stem}_gtFine_{kind}.png" for kind in ("labelIds", "instanceIds"))
        files = Files(image, label, instance, disparity)
        missing = next((path for path in files if not path.is_file()), None)
        if missing:
            raise UserError(f"{missing} is missing; {image} needs it")
        found.append(files)
    return found


def classes(path: Path, label_ids: NDArray[np.integer]) -> NDArray[np.int8]:
    """Label ids to classes 0 to 18, and `IGNORED`.

    Raises:
        UserError: there is no such label id.
    """
    unknown = label_ids[(label_ids > MOST_LABEL_ID) & (label_ids != LICENCE_PLATE)]
    if len(unknown):
        raise UserError(f"{path}: a label id needs to be at most {MOST_LABEL_ID}, got {unknown[0]}")
    table = np.full(256, IGNORED, np.int8)
    table[list(LABEL_IDS)] = range(len(LABEL_IDS))
    return table[label_ids]


def offsets(
    instance_ids: NDArray[np.integer], keep: tuple[NDArray[np.int64], NDArray[np.int64]]
) -> NDArray[np.float32]:
    """Offsets from the middle of its instance to a pixel: `(y, x)` in pixels of the file, NaN where there is none.

    Args:
        instance_ids: `[H, W]`.
        keep: rows and columns of the pixels that are asked for.

    Returns:
        `[2, rows, columns]`
    """
    ids, which = np.unique(instance_ids, return_inverse=True)
    which = which.reshape(instance_ids.shape)
    number = np.bincount(which.ravel())
    y, x = np.indices(instance_ids.shape)
    rows, columns = keep
    kept = which[rows][:, columns]
    # Sener and Koltun's code also takes a group that is not told apart for one instance.
    counted = (ids[kept] >= INSTANCES[0]) & (ids[kept] <= INSTANCES[1])
    parts = []
    for places, grid in ((y, rows[:, None]), (x, columns[None, :])):
        middle = np.bincount(which.ravel(), places.ravel()) / number
        parts.append(np.where(counted, grid - middle[kept], np.nan))
    return np.stack(parts).astype(np.float32)
