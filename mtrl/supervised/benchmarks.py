"""The benchmarks that a configuration can name."""

from typing import Annotated

from pydantic import Field

from mtrl.supervised.multimnist import MultiMNIST
from mtrl.supervised.qm9 import QM9
from mtrl.supervised.toy.section import Toy
from mtrl.supervised.vision import CelebA, Cityscapes2, Cityscapes3, NYUv2

AnyBenchmark = Annotated[
    CelebA | Cityscapes2 | Cityscapes3 | MultiMNIST | NYUv2 | QM9 | Toy, Field(discriminator="name")
]
"""A new benchmark is a member of this union: a `Section` with the methods of `Benchmark`. (The toy, which has no
batches, has none of them.)"""
