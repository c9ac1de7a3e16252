"""Reading pictures and arrays; whatever is wrong with a file is one line with its path and what was expected.

Axes: `H` rows and `W` columns of pixels, `C` channels.
"""

import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from mtrl.extras import install
from mtrl.runs.errors import UserError
from mtrl.runs.files import check_regular

_MOST_BYTES = 1 << 30
"""Of a file."""
_MOST_PIXELS = 1 << 25
"""Of a picture: Cityscapes' have 2^21."""
STAND_IN = "STAND-IN.txt"
"""The file that says that a folder holds made-up data."""


def source(name: str, folder: Path, images: Sequence[int]) -> str:
    """What a folder holds, in words: `NYUv2 (795 + 654 images)`, or `stand-in for NYUv2 ...`.

    Args:
        name: of the data set.
        folder: of its files.
        images: how many there are in each split.
    """
    made_up = "stand-in for " if (folder / STAND_IN).exists() else ""
    return f"{made_up}{name} ({' + '.join(f'{n:,}' for n in images)} images)"


def is_full(folder: Path, images: Sequence[int], published: Sequence[int]) -> bool:
    """Whether these are the published numbers of images, and not a stand-in."""
    return list(images) == list(published) and not (folder / STAND_IN).exists()


def require_folder(folder: Path | None, name: str, expected: str) -> Path:
    """The folder of a data set.

    Raises:
        UserError: none was given, or it is not there.
    """
    if folder is None:
        raise UserError(f"{name} needs --data DIR with {expected}; make a stand-in: python -m mtrl.benchmarks.standin")
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; {name} needs one with {expected}")
    return folder


def pillow() -> ModuleType:
    """`PIL.Image`, imported once it is needed.

    Raises:
        UserError: pillow is not installed.
    """
    try:
        from PIL import Image
    except ModuleNotFoundError as error:
        raise UserError(f"pictures need the package pillow: {install('supervised')}") from error
    return Image


def read_picture(path: Path, size: tuple[int, int]) -> NDArray[np.uint8]:
    """A colour picture, brought to `size` rows and columns; `[3, H, W]`.

    Raises:
        UserError: it is missing or damaged.
    """
    image = pillow()
    with _open(path) as picture:
        colours = _decoded(path, picture, "RGB")
        resized = colours.resize((size[1], size[0]), image.Resampling.BILINEAR)
        return np.ascontiguousarray(np.asarray(resized, np.uint8).transpose(2, 0, 1))


def read_map(path: Path, shape: tuple[int, int] | None) -> NDArray[Any]:
    """A picture with one number per pixel (8 or 16 bits), as it is; `[H, W]`.

    Raises:
        UserError: it is missing, damaged, has colours or another shape.
    """
    with _open(path) as picture:
        values = np.asarray(_decoded(path, picture, None))
    if values.ndim != 2 or (shape is not None and values.shape != shape):
        wanted = "one number per pixel" if shape is None else f"{shape[0]} x {shape[1]} numbers"
        raise UserError(f"{path}: expected {wanted}, got the shape {list(values.shape)}")
    return values


def picture_size(path: Path) -> tuple[int, int]:
    """Rows and columns, from the header.

    Raises:
        UserError: it is missing or damaged.
    """
    with _open(path) as picture:
        return picture.height, picture.width


def _open(path: Path) -> Any:
    image = pillow()
    try:
        check_regular(path, _MOST_BYTES)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", image.DecompressionBombWarning)  # from sizes above ours
            picture = image.open(path, formats=("PNG", "JPEG"))
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing") from error
    except image.DecompressionBombError as error:
        raise UserError(f"{path} is larger than any picture of these data sets: {error}") from error
    except (OSError, SyntaxError, ValueError) as error:  # pillow raises all three for damaged headers
        raise UserError(f"{path} is damaged: expected a PNG or JPEG picture") from error
    if picture.width * picture.height > _MOST_PIXELS:
        size = f"{picture.height:,} x {picture.width:,}"
        picture.close()
        raise UserError(f"{path} has {size} pixels, and no picture of these data sets more than {_MOST_PIXELS:,}")
    return picture


def _decoded(path: Path, picture: Any, mode: str | None) -> Any:
    try:
        picture.load()
        return picture.convert(mode) if mode else picture
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise UserError(f"{path} is damaged ({str(error).splitlines()[0]}): expected a whole picture") from error


def read_array(path: Path, shape: tuple[int | None, ...]) -> NDArray[Any]:
    """A `.npy` file.

    Args:
        path: of the file.
        shape: that it must have; None for an axis of any length.

    Raises:
        UserError: it is missing or damaged, not of numbers, or has another shape.
    """
    try:
        _check_header(path)
        values = np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing") from error
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path} is damaged ({str(error).splitlines()[0]}): expected a numpy array") from error
    fits = isinstance(values, np.ndarray) and values.dtype.kind in "fiub" and values.ndim == len(shape)
    if not fits or any(n is not None and n != m for n, m in zip(shape, values.shape, strict=True)):
        wanted = " x ".join("any" if n is None else str(n) for n in shape)
        got = f"{values.dtype} of shape {list(values.shape)}" if isinstance(values, np.ndarray) else "an archive"
        raise UserError(f"{path}: expected numbers of shape {wanted}, got {got}")
    return values


def _check_header(path: Path) -> None:
    """Whether a `.npy` file says of itself what it is, before memory is taken for what it says."""
    size = check_regular(path, _MOST_BYTES)
    with path.open("rb") as file:
        read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(npy.read_magic(file))
        if read is None:
            raise ValueError("an unknown version of numpy's format")
        found, _, kind = read(file)
        told = math.prod(found) * kind.itemsize
        if not kind.hasobject and told != size - file.tell():
            raise ValueError(f"{size - file.tell():,} bytes follow its header, which tells of {told:,}")


def check_range(path: Path, values: NDArray[Any], least: float, most: float, what: str) -> None:
    """Refuses values that are NaN, infinite or outside `[least, most]`.

    Raises:
        UserError: names the file, the range and a value.
    """
    with np.errstate(invalid="ignore"):
        wrong = ~((values >= least) & (values <= most))
    if wrong.any():
        raise UserError(f"{path}: {what} needs to be in [{least:g}, {most:g}], got {values[wrong][0]:g}")


def check_classes(path: Path, values: NDArray[Any], classes: int) -> NDArray[np.int8]:
    """Labels as small integers, `-1` for none.

    Raises:
        UserError: one is outside `-1 ... classes - 1` or not whole.
    """
    check_range(path, values, -1, classes - 1, "a class")
    whole = values.astype(np.int8)
    if (whole != values).any():
        raise UserError(f"{path}: a class needs to be a whole number, got {values[whole != values][0]:g}")
    return whole
