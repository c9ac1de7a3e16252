"""Trimmed mean: the mean of each coordinate without its extremes."""

from collections.abc import Callable

import torch
from torch import Tensor

from mtrl.aggregation.gradient_method import CoordinateMethod, check_columns

_Pick = Callable[[Tensor, Tensor], Tensor]


class TrimmedMean(CoordinateMethod):
    """Coordinate-wise trimmed mean (Yin et al. 2018, definition 2).

    In each coordinate the `num_trimmed` largest and as many smallest of the gradients are left out; meant for
    gradients of which some are wrong.

    Convention: the mean of the rest.

    Args:
        num_trimmed: from each end, >= 0; fewer than half of the tasks.
    """

    def __init__(self, num_trimmed: int = 1) -> None:
        super().__init__()
        if not num_trimmed >= 0:
            raise ValueError(f"TrimmedMean needs num_trimmed >= 0, got num_trimmed={num_trimmed}")
        self.num_trimmed = num_trimmed

    def forward(self, gradients: Tensor, losses: Tensor | None = None) -> Tensor:
        check_columns(gradients)
        gradients = gradients.detach()
        kept = gradients.shape[-2] - 2 * self.num_trimmed
        if kept < 1:
            raise ValueError(f"TrimmedMean needs more than {2 * self.num_trimmed} tasks, got {gradients.shape[-2]}")
        rows = [*gradients.unbind(-2)]
        for _ in range(self.num_trimmed):
            rows = _without_extreme(torch.minimum, torch.maximum, rows)
            rows = _without_extreme(torch.maximum, torch.minimum, rows)
        return torch.where(gradients.isfinite().all(-2), torch.stack(rows).mean(0), torch.nan)


def _without_extreme(other: _Pick, extreme: _Pick, rows: list[Tensor]) -> list[Tensor]:
    """What is left in each coordinate; much cheaper than to sort."""
    found, left = rows[0], []
    for row in rows[1:]:
        left.append(other(found, row))
        found = extreme(found, row)
    return left
