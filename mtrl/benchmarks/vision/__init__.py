"""The benchmarks on pictures: CelebA, Cityscapes with two and with three tasks, NYUv2.

A benchmark is a file (`celeba`, `cityscapes2`, `cityscapes3`, `nyuv2`), and beside them what they share: reading files
(`files`, `samples`), `augmentation`, `losses`, `meters`, networks (`models`), and pictures for stand-ins (`scenes`).
"""

from mtrl.benchmarks.vision.celeba import CelebA
from mtrl.benchmarks.vision.cityscapes2 import Cityscapes2
from mtrl.benchmarks.vision.cityscapes3 import Cityscapes3
from mtrl.benchmarks.vision.nyuv2 import NYUv2

__all__ = ["CelebA", "Cityscapes2", "Cityscapes3", "NYUv2"]
