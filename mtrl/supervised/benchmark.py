"""What a benchmark is: data, a model of one trunk and one head per task, losses, metrics.

A benchmark is one frozen `Section` of the configuration (`benchmark: {name: multimnist, ...}`), whose fields are its
sizes and choices and whose methods are those of `Benchmark`; `mtrl.benchmarks.supervised_config` lists it. The frame
does the rest: batches, gradients, schedule, evaluation, run folder.

Axes: `B` batch, `T` tasks.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from torch import Generator, Tensor, nn

from mtrl.nested import map_leaves


class Metric(NamedTuple):
    """One number of a task; delta_m and the mean rank run over metrics, not over tasks."""

    name: str
    """Unique in the benchmark, e.g. `depth_abs_error`."""
    task: str
    higher_is_better: bool
    unit: str = ""
    """`%`, `m`, `meV`, ...; empty for a share in [0, 1]."""


class Batch(NamedTuple):
    """Examples that a step takes together."""

    inputs: Any
    """Tree of tensors, `[B, ...]` each."""
    targets: Any
    """Tree of tensors, `[B, ...]` each."""

    def to(self, device: torch.device) -> "Batch":
        """The same on another device."""
        moved: Batch = map_leaves(lambda x: x.to(device, non_blocking=True), self)
        return moved


class Split(Protocol):
    """Examples by number; a batch is made at once."""

    def __len__(self) -> int: ...

    def batch(self, indices: Tensor, generator: Generator | None) -> Batch:
        """Examples as the model takes them.

        Args:
            indices: of the examples, int64 `[B]`, on the CPU.
            generator: of augmentation, seeded anew for every batch, on the CPU; None for no augmentation.

        Raises:
            UserError: a file that is read now is damaged; one line with its path.
        """


class Data(NamedTuple):
    """What a model learns from and is measured on."""

    train: Split
    validation: Split | None
    """Decides when to lower the step size, when to stop and which epoch counts; None if the protocol has none."""
    test: Split
    source: str
    """Printed with every number: `MNIST (60,000 + 10,000 images)`, `stand-in for NYUv2 (24 + 8 images)`."""
    is_full: bool
    """Whether these are the papers' data and splits, whole; published baselines hold for nothing less."""


class MultiTaskModel(nn.Module, ABC):
    """A shared trunk and one head per task."""

    @abstractmethod
    def represent(self, inputs: Any) -> Any:
        """What the heads read: a tensor or a sequence of tensors, `[B, ...]`. MGDA-UB compares gradients there."""

    @abstractmethod
    def predict(self, representation: Any) -> Any:
        """The heads' outputs, as `losses` and the meter take them."""

    @abstractmethod
    def shared_parameters(self) -> Iterable[nn.Parameter]:
        """Those of the trunk; all others belong to heads."""


class Meter(Protocol):
    """Metrics over a whole split; a fresh one for every evaluation."""

    def update(self, outputs: Any, batch: Batch) -> None:
        """Counts one batch, without gradients; sums are pooled over the split, never averaged over batches."""

    def result(self) -> Mapping[str, float]:
        """A finite value for every metric of the benchmark, by name."""


class Benchmark(Protocol):
    """One problem and its protocol."""

    @property
    def name(self) -> str:
        """The name that the configuration gives it."""

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names, in the order of the losses."""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The metrics, in the order of the papers' tables."""

    @property
    def published_single_task(self) -> Mapping[str, float] | None:
        """The papers' single-task metrics by name, in the units of `metrics`.

        None if there are none, or if the fields describe another network or protocol than the papers'.
        """

    def data(self, folder: Path | None, seed: int) -> Data:
        """Reads the data.

        Args:
            folder: of the files; None if the user gave none.
            seed: of whatever is drawn: pairs of digits, splits.

        Raises:
            UserError: a file is missing or damaged; one line with its path and what was expected.
        """

    def model(self) -> MultiTaskModel:
        """A new one; its first parameters are drawn from torch's global generator, which is seeded."""

    def losses(self, outputs: Any, batch: Batch) -> Sequence[Tensor]:
        """One scalar per task: a list, so that one of them can be differentiated without the other heads."""

    def meter(self, split: Split) -> Meter:
        """An empty meter for one pass over `split`."""
