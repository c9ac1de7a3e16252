"""Share of examples whose class is found.

Axes: `B` batch, `T` tasks.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from mtrl.supervised.benchmark import Batch


class AccuracyMeter:
    """A `Meter`: per cent of right classes per task, over all examples.

    Args:
        names: of the metrics, one per task.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._right = torch.zeros(len(names), dtype=torch.int64)
        self._seen = 0

    def update(self, outputs: Sequence[Tensor], batch: Batch) -> None:
        """Logits `[B, classes]` of each task, and targets `[B, T]`."""
        found = torch.stack([logits.argmax(-1) for logits in outputs], -1)
        self._right += (found == batch.targets).sum(0).cpu()
        self._seen += len(found)

    def result(self) -> dict[str, float]:
        return {name: 100 * int(n) / self._seen for name, n in zip(self._names, self._right, strict=True)}
