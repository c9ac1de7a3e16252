"""Small folders in MNIST's layout and file format, made of scikit-learn's bundled digits."""

import gzip
import struct
from pathlib import Path

from torch import Tensor

from mtrl.benchmarks.multimnist.idx import FILES
from mtrl.benchmarks.multimnist.images import bundled_images


def idx(values: Tensor) -> bytes:
    """An idx file of unsigned bytes, not compressed."""
    header = bytes((0, 0, 8, values.ndim)) + struct.pack(f">{values.ndim}I", *values.shape)
    return header + values.byte().contiguous().numpy().tobytes()


def write_idx_folder(folder: Path, train: int = 200, test: int = 50) -> Path:
    """The four .gz files, of so many images."""
    folder.mkdir(parents=True, exist_ok=True)
    bundled_train, bundled_test, _ = bundled_images()
    for part, images, count in (("train", bundled_train, train), ("test", bundled_test, test)):
        for name, values in zip(FILES[part], (images.pixels, images.labels), strict=True):
            (folder / f"{name}.gz").write_bytes(gzip.compress(idx(values[:count])))
    return folder
