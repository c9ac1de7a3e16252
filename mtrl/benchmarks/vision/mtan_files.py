"""The folders of MTAN (Liu, Johns and Davison 2019) for NYUv2 and Cityscapes: `{train,val}/<kind>/<number>.npy`.

Axes: `H` rows and `W` columns of pixels.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from mtrl.benchmarks.vision.files import check_classes, check_range, read_array
from mtrl.benchmarks.vision.samples import Arrays
from mtrl.runs.errors import UserError

LONGEST = 1.1
"""Of a normal, which has the length 1 but for the rounding and resizing of the files."""


def count(folder: Path, split: str, kinds: Sequence[str]) -> int:
    """How many samples a split has: files `0.npy` to `<n - 1>.npy` of every kind.

    Raises:
        UserError: a folder or a file is missing.
    """
    numbers: dict[str, set[int]] = {}
    for kind in kinds:
        place = folder / split / kind
        if not place.is_dir():
            wanted = f"{{train,val}}/{{{','.join(kinds)}}}/<number>.npy"
            raise UserError(f"{place} is missing; expected {wanted}")
        names = (re.fullmatch(r"(\d+)\.npy", path.name) for path in place.iterdir())
        numbers[kind] = {int(name[1]) for name in names if name}
    total = max(max(found, default=-1) for found in numbers.values()) + 1
    if total == 0:
        raise UserError(f"{folder / split / kinds[0]} has no <number>.npy")
    for kind, found in numbers.items():
        missing = set(range(total)) - found
        if missing:
            path = folder / split / kind / f"{min(missing)}.npy"
            raise UserError(f"{path} is missing; expected 0.npy to {total - 1}.npy")
    return total


class Reader:
    """Reads samples of one split, checked.

    Args:
        folder: of the data set.
        split: `train` or `val`.
        size: rows and columns to bring them to: means of pixels for pictures, the nearest pixel for all else.
        label: folder of the labels.
        classes: their number.
        most_depth: no depth is larger.
        normals: whether there are any.
    """

    def __init__(
        self,
        folder: Path,
        split: str,
        size: tuple[int, int],
        label: str,
        classes: int,
        most_depth: float,
        normals: bool,
    ) -> None:
        self.folder, self.size, self.label, self.classes = folder / split, size, label, classes
        self.most_depth, self.normals = most_depth, normals

    def __call__(self, number: int) -> Arrays:
        """Image `[3, H, W]`, classes `[H, W]`, depth `[1, H, W]`, and normals `[3, H, W]` if there are any."""
        image = self._read("image", number, (None, None, 3))
        rows, columns = image.shape[:2]
        check_range(self._path("image", number), image, 0, 1, "a colour")
        label = self._read(self.label, number, (rows, columns))
        label = check_classes(self._path(self.label, number), label, self.classes)
        depth = self._read("depth", number, (rows, columns, 1))
        check_range(self._path("depth", number), depth, 0, self.most_depth, "depth")
        maps: list[NDArray[np.generic]] = [label[..., None], depth.astype(np.float32)]
        if self.normals:
            normal = self._read("normal", number, (rows, columns, 3)).astype(np.float32)
            length = np.linalg.norm(normal, axis=-1)
            check_range(self._path("normal", number), length, 0, LONGEST, "the length of a normal")
            maps.append(normal / np.where(length > 0, length, 1)[..., None])
        picture, (classes, *others) = self._picture(image), [self._nearest(x) for x in maps]
        return (picture, classes[0], *others)

    def _read(self, kind: str, number: int, shape: tuple[int | None, ...]) -> NDArray[np.generic]:
        return read_array(self._path(kind, number), shape)

    def _path(self, kind: str, number: int) -> Path:
        return self.folder / kind / f"{number}.npy"

    def _picture(self, image: NDArray[np.generic]) -> NDArray[np.float32]:
        picture = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1), np.float32))
        return functional.adaptive_avg_pool2d(picture, self.size).numpy()

    def _nearest(self, values: NDArray[np.generic]) -> NDArray[np.generic]:
        y, x = (nearest(before, after) for before, after in zip(values.shape[:2], self.size, strict=True))
        return np.ascontiguousarray(values[y][:, x].transpose(2, 0, 1))


def nearest(before: int, after: int) -> NDArray[np.int64]:
    """Which of `before` pixels in a line is nearest to each of `after`."""
    return ((2 * np.arange(after) + 1) * before) // (2 * after)
