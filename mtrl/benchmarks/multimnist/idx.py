"""The idx files of MNIST and Fashion-MNIST, gzipped or plain.

Axes: `N` images.
"""

import math
import struct
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from mtrl.benchmarks.download import md5_of
from mtrl.runs.errors import UserError
from mtrl.runs.files import unpacked

SIDE = 28
CLASSES = 10
MOST_BYTES = 1_000_000 * SIDE * SIDE
"""Of an array: MNIST has 60,000 images."""
FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
_UBYTE = 8  # idx's code of the element type


class Images(NamedTuple):
    """Pictures of one thing each."""

    pixels: Tensor
    """uint8 `[N, 28, 28]`."""
    labels: Tensor
    """int64 `[N]`, in [0, 10)."""
    digests: tuple[str, ...]
    """MD5 of the files."""


def read_images(folder: Path, part: str) -> Images:
    """The images and labels of `train` or `test`.

    Raises:
        UserError: a file is missing or damaged, or the two do not fit together; one line with the path.
    """
    image_path, label_path = (_find(folder, name) for name in FILES[part])
    pixels, image_digest = _read_idx(image_path, axes=3)
    labels, label_digest = _read_idx(label_path, axes=1)
    if pixels.shape[1:] != (SIDE, SIDE):
        raise UserError(f"{image_path}: expected images of {SIDE}x{SIDE} pixels, got {_times(pixels.shape[1:])}")
    if len(pixels) != len(labels):
        raise UserError(f"{label_path}: expected a label for each of {len(pixels):,} images, got {len(labels):,}")
    if len(labels) == 0:
        raise UserError(f"{image_path}: expected images, got none")
    if (largest := int(labels.max())) >= CLASSES:
        raise UserError(f"{label_path}: expected labels from 0 to {CLASSES - 1}, got {largest}")
    return Images(pixels, labels.long(), (image_digest, label_digest))


def _find(folder: Path, name: str) -> Path:
    for path in (folder / f"{name}.gz", folder / name):
        if path.is_file():
            return path
    expected = ", ".join(f"{file}.gz" for pair in FILES.values() for file in pair)
    fetch = f"`python -m mtrl.benchmarks.download mnist {folder}` fetches them (fashion_mnist the other ones)"
    raise UserError(f"{folder / name}.gz is missing; expected in that folder: {expected}; {fetch}")


def _read_idx(path: Path, axes: int) -> tuple[Tensor, str]:
    """The array of unsigned bytes in a file, and the file's MD5."""
    header = 4 + 4 * axes
    magic = bytes((0, 0, _UBYTE, axes))
    head = _unpacked(path, header)
    if len(head) < header or head[:4] != magic:
        raise UserError(f"{path}: expected an idx file that begins with {magic.hex(' ')}, got {head[:4].hex(' ')}")
    shape = struct.unpack(f">{axes}I", head[4:])
    expected = math.prod(shape)
    if expected > MOST_BYTES:
        raise UserError(f"{path}: expected at most {MOST_BYTES:,} bytes, got {_times(shape)}")
    raw = _unpacked(path, header + expected + 1)
    if len(raw) - header != expected:
        got = f"{len(raw) - header:,}" if len(raw) - header < expected else "more"
        raise UserError(f"{path}: expected {expected:,} bytes for its {_times(shape)}, got {got}")
    values = torch.frombuffer(bytearray(raw), dtype=torch.uint8, offset=header) if expected else torch.empty(0)
    return values.view(shape), md5_of(path)


def _unpacked(path: Path, most: int) -> bytes:
    try:
        return unpacked(path, most)
    except ValueError as error:
        raise UserError(f"{path}: expected a whole gzip file, but it is damaged ({error})") from error


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(f"{n:,}" for n in shape)
