"""Training, validation and test molecules, with standardised targets.

Axes: `B` batch, `M` molecules of a split.
"""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from mtrl.benchmarks.qm9.molecules import COLUMNS, Molecules
from mtrl.runs.errors import UserError
from mtrl.supervised.benchmark import Batch


@dataclass(frozen=True)
class MoleculeSplit:
    """A `Split` of molecules, their targets standardised."""

    molecules: Molecules
    mean: Tensor
    """`[11]`, of the training molecules' targets."""
    scale: Tensor
    """`[11]`, their standard deviation."""

    def __len__(self) -> int:
        return len(self.molecules.targets)

    def batch(self, indices: Tensor, generator: Generator | None) -> Batch:
        """Graphs, and standardised targets `[B, 11]`."""
        return Batch(self.molecules.graphs(indices), (self.molecules.targets[indices] - self.mean) / self.scale)


def cut(
    molecules: Molecules, num_test: int, num_validation: int, seed: int
) -> tuple[MoleculeSplit, MoleculeSplit, MoleculeSplit]:
    """Shuffled by the seed: the first for the test, the next for validation, the rest for training.

    Returns:
        Training, validation and test split.

    Raises:
        UserError: a target does not vary over the training molecules, or there are too few.
    """
    count = len(molecules.targets)
    order = torch.randperm(count, generator=Generator().manual_seed(seed))
    test, validation, train = order.split([num_test, num_validation, count - num_test - num_validation])
    targets = molecules.targets[train]
    mean, scale = targets.mean(0), targets.std(0, correction=min(1, len(train) - 1))
    if not bool((scale > 0).all()):
        constant = [name for name, s in zip(COLUMNS, scale.tolist(), strict=True) if s == 0]
        raise UserError(f"QM9 needs targets that vary over the {len(train)} training molecules: {constant[0]} does not")
    parts = (MoleculeSplit(molecules.part(rows), mean, scale) for rows in (train, validation, test))
    return next(parts), next(parts), next(parts)
