"""A supervised run on one of the benchmarks that a configuration can name."""

from functools import reduce
from typing import Annotated, Self

import torch
from pydantic import Field, model_validator

from mtrl.benchmarks.multimnist import MultiMNIST
from mtrl.benchmarks.qm9 import QM9
from mtrl.benchmarks.toy.job import ToyJob
from mtrl.benchmarks.toy.section import Toy
from mtrl.benchmarks.vision import CelebA, Cityscapes2, Cityscapes3, NYUv2
from mtrl.runs.reading import SINGLE_TASK
from mtrl.runs.section import RunName
from mtrl.supervised.benchmark_job import BenchmarkJob
from mtrl.supervised.run_config import EvaluationConfig, Job, SupervisedRunConfig

AnyBenchmark = Annotated[
    CelebA | Cityscapes2 | Cityscapes3 | MultiMNIST | NYUv2 | QM9 | Toy, Field(discriminator="name")
]
"""A new benchmark is a member of this union: a `Section` with the methods of `Benchmark`. (The toy, which has no
batches, has none of them.)"""

OF_BATCHES = (
    *("data", "batch_size", "gradients", "chunk_size", "log_gradients", "method.update_every", "schedule.kind"),
    *("optimizer.name", "optimizer.momentum", "optimizer.weight_decay"),
    *(f"evaluation.{name}" for name in EvaluationConfig.model_fields),
)
"""Fields that mean nothing to the toy, which needs them to be as they are by default."""


class SupervisedConfig(SupervisedRunConfig):
    """A run of supervised multi-task learning."""

    name: RunName = "multimnist"
    """Name of the run: its folder is `<out>/<name>/seed_<k>`; without one, that of the configuration's file."""
    benchmark: AnyBenchmark = MultiMNIST()
    """Data, model, losses and metrics."""

    may_differ = SupervisedRunConfig.may_differ | {"benchmark.cache_gib"}

    def job(self, seed: int, device: torch.device) -> Job:
        if isinstance(self.benchmark, Toy):
            return ToyJob(self, self.benchmark, seed)
        return BenchmarkJob(self, self.benchmark, seed, device)

    @model_validator(mode="after")
    def _the_toy_has_no_batches(self) -> Self:
        if not isinstance(self.benchmark, Toy):
            return self
        if self.method.name == SINGLE_TASK:
            raise ValueError(f"method.name must be an aggregation method with the toy, got {SINGLE_TASK!r}")
        default = SupervisedConfig.model_construct()
        for name in OF_BATCHES:
            value, wanted = (reduce(getattr, name.split("."), config) for config in (self, default))
            if value != wanted:
                raise ValueError(f"{name} must be {wanted!r} with the toy, got {value!r}")
        return self
