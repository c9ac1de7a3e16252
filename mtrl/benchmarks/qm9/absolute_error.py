"""Mean absolute errors in the targets' own units.

Axes: `B` batch, `T` tasks.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from mtrl.supervised.benchmark import Batch


class AbsoluteErrorMeter:
    """A `Meter`.

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
