"""The QM9 benchmark of Nash-MTL (Navon et al. 2022, section 6.1): 11 properties of small molecules.

Axes: `B` batch, `T` tasks.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from mtrl.benchmarks.qm9.files import RAW_NAMES, read_folder
from mtrl.benchmarks.qm9.molecules import COLUMNS
from mtrl.benchmarks.qm9.network import Network
from mtrl.benchmarks.qm9.split import MoleculeSplit, cut
from mtrl.runs.errors import UserError
from mtrl.runs.section import Few, Positive, Section
from mtrl.supervised.benchmark import Batch, Data, Metric, Split

TASKS = tuple(COLUMNS)
MOLECULES, HELD_OUT = 130_831, 10_000
MEV = 1000.0


class _Reported(NamedTuple):
    unit: str
    factor: float
    """From the unit of `Molecules.targets`."""
    single_task: float
    """Mean absolute error of the papers' single-task networks."""


_REPORTED: Mapping[str, _Reported] = {
    "mu": _Reported("D", 1, 0.0671),
    "alpha": _Reported("a0^3", 1, 0.1814),
    "homo": _Reported("meV", MEV, 60.576),
    "lumo": _Reported("meV", MEV, 53.915),
    "r2": _Reported("a0^2", 1, 0.5027),
    "zpve": _Reported("meV", MEV, 4.539),
    "u0": _Reported("meV", MEV, 58.838),
    "u": _Reported("meV", MEV, 64.244),
    "h": _Reported("meV", MEV, 63.852),
    "g": _Reported("meV", MEV, 66.223),
    "cv": _Reported("cal/(mol K)", 1, 0.07212),
}


class AbsoluteErrorMeter:
    """A `Meter`: mean absolute errors in the targets' own units, over all examples.

    Args:
        names: of the metrics, one per task.
        scale: `[T]`, units of a metric in one of the standardised targets.
    """

    def __init__(self, names: Sequence[str], scale: Tensor) -> None:
        self._names, self._scale = names, scale.double()
        self._sum = torch.zeros(len(names), dtype=torch.float64)
        self._seen = 0

    def update(self, outputs: Sequence[Tensor], batch: Batch) -> None:
        """Outputs `[B]` of each task, and targets `[B, T]`, standardised."""
        errors = (torch.stack([*outputs], 1) - batch.targets).abs()
        self._sum += errors.double().sum(0).cpu()
        self._seen += len(errors)

    def result(self) -> dict[str, float]:
        return dict(zip(self._names, (self._sum / self._seen * self._scale).tolist(), strict=True))


class QM9(Section):
    """Properties of molecules, a message-passing network; metric: mean absolute error. Data: `gdb9.sdf`,
    `gdb9.sdf.csv` and `uncharacterized.txt`, plain or .gz, or torch_geometric's `processed/data_v3.pt`.
    """

    name: Literal["qm9"] = "qm9"
    """Of the benchmark."""
    test: Positive | None = None
    """Molecules held out for the test; null: 10,000, or a tenth of smaller data."""
    validation: Positive | None = None
    """Molecules held out for validation; null: 10,000, or a tenth of smaller data."""
    width: Few = 64
    """Of the atoms' states and of the representation."""
    edge_width: Few = 128
    """Hidden units of the network that makes a matrix of an edge."""

    @property
    def tasks(self) -> tuple[str, ...]:
        return TASKS

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return tuple(Metric(f"{task}_mae", task, False, _REPORTED[task].unit) for task in TASKS)

    @property
    def published_single_task(self) -> Mapping[str, float] | None:
        papers = self.width == 64 and self.edge_width == 128 and {self.test, self.validation} <= {None, HELD_OUT}
        return {f"{task}_mae": _REPORTED[task].single_task for task in TASKS} if papers else None

    def data(self, folder: Path | None, seed: int) -> Data:
        """See `Benchmark`; the split changes with the seed, as in the papers' code."""
        if folder is None:
            names = ", ".join(RAW_NAMES)
            raise UserError(f"qm9 needs --data DIR with {names}: python -m mtrl.benchmarks.qm9.download DIR gets them")
        molecules = read_folder(folder)
        count = len(molecules.targets)
        part = min(HELD_OUT, max(1, count // 10))
        test, validation = self.test or part, self.validation or part
        if test + validation >= count:
            sizes = f"benchmark.test {test:,} and benchmark.validation {validation:,}"
            raise UserError(f"{sizes} must leave molecules for training, got {count:,} in {folder}")
        splits = cut(molecules, test, validation, seed)
        sizes = "/".join(f"{len(split):,}" for split in splits)
        is_full = (count, test, validation) == (MOLECULES, HELD_OUT, HELD_OUT)
        whole = "QM9" if count == MOLECULES else f"QM9 subset of {count:,} molecules"
        return Data(*splits, f"{whole} ({sizes} for training, validation, test)", is_full)

    def model(self) -> Network:
        return Network(len(TASKS), self.width, self.edge_width)

    def losses(self, outputs: Sequence[Tensor], batch: Batch) -> list[Tensor]:
        """Mean squared error of each standardised target."""
        return [functional.mse_loss(y, t) for y, t in zip(outputs, batch.targets.unbind(1), strict=True)]

    def meter(self, split: Split) -> AbsoluteErrorMeter:
        assert isinstance(split, MoleculeSplit)
        factors = torch.tensor([_REPORTED[task].factor for task in TASKS])
        return AbsoluteErrorMeter([metric.name for metric in self.metrics], split.scale * factors)
