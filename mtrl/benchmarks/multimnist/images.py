"""The single images: the user's idx files, or the digits that scikit-learn brings along."""

import hashlib
from pathlib import Path
from typing import Literal

import torch

from mtrl.benchmarks.download import DOWNLOADS
from mtrl.benchmarks.multimnist.idx import SIDE, Images, read_images
from mtrl.extras import install
from mtrl.runs.errors import UserError

Source = Literal["mnist", "fashion_mnist"]
TITLES = {"mnist": "MNIST", "fashion_mnist": "Fashion-MNIST"}
DIGESTS = {name: tuple(file.md5 for file in DOWNLOADS[name]) for name in TITLES}
"""MD5 of the published files: training images and labels, test images and labels."""
BUNDLED = "scikit-learn's bundled digits (not MNIST)"
_BUNDLED_TEST = 360
_BUNDLED_LARGEST = 16


def user_images(folder: Path, source: Source) -> tuple[Images, Images, str]:
    """Training images, test images and what they are.

    Args:
        folder: that holds the four idx files, or a folder of the source's name that does.
        source: which of the two data sets.

    Raises:
        UserError: see `read_images`.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder; expected one with the idx files of {TITLES[source]}")
    inside = folder / source if (folder / source).is_dir() else folder
    train, test = read_images(inside, "train"), read_images(inside, "test")
    digests = train.digests + test.digests
    if digests == DIGESTS[source]:
        return train, test, TITLES[source]
    other = next((TITLES[name] for name in DIGESTS if DIGESTS[name] == digests), None)
    if other:
        raise UserError(f"{inside}: expected {TITLES[source]}, got {other}: choose it with --benchmark.images")
    return train, test, f"idx files (MD5 {_md5(train, test)}) that are not the published .gz files of {TITLES[source]}"


def _md5(*parts: Images) -> str:
    """Of what the files hold, packed or not and wherever they lie; its first digits."""
    found = hashlib.md5(usedforsecurity=False)
    for images in parts:
        found.update(images.pixels.numpy().tobytes() + images.labels.numpy().tobytes())
    return found.hexdigest()[:8]


def bundled_images() -> tuple[Images, Images, str]:
    """The 1,797 handwritten 8x8 digits of scikit-learn, thrice as large, as `user_images`; the last 360 for testing.

    Raises:
        UserError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise UserError(f"without --data, scikit-learn is needed: {install('supervised')}") from error
    digits = load_digits()
    grey = torch.from_numpy(digits.images) * (255 / _BUNDLED_LARGEST)
    large = grey.round().to(torch.uint8).repeat_interleave(3, 1).repeat_interleave(3, 2)
    margin = (SIDE - large.shape[-1]) // 2
    pixels = torch.nn.functional.pad(large, (margin,) * 4)
    labels = torch.from_numpy(digits.target).long()
    split = len(labels) - _BUNDLED_TEST
    return Images(pixels[:split], labels[:split], ()), Images(pixels[split:], labels[split:], ()), BUNDLED
