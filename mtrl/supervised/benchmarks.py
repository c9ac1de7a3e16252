"""The benchmarks that a configuration can name."""

from typing import Annotated

from pydantic import Field

from mtrl.supervised.multimnist import MultiMNIST
from mtrl.supervised.toy.section import Toy

AnyBenchmark = Annotated[MultiMNIST | Toy, Field(discriminator="name")]
"""A new benchmark is a member of this union: a `Section` with the methods of `Benchmark`. (The toy, which has no
batches, has none of them.)"""
