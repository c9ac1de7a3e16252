"""What `backward` asks of an average over ranks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor


class Average(Protocol):
    """Takes means over ranks, as `mtrl.distributed.RankAverage` does."""

    @property
    def size(self) -> int:
        """Number of ranks that take part."""

    def __call__(self, tensors: Sequence[Tensor]) -> None:
        """Replaces each tensor in place by its mean over the ranks."""

    def agree(self, said: str) -> None:
        """Raises ValueError on every rank unless all say the same."""

    def everyone(self, numbers: Sequence[int], device: torch.device) -> list[list[int]]:
        """Each rank's numbers, as many on every rank."""

    def scatter(self, rows: Tensor) -> Tensor:
        """This rank's part of the columns of `rows` `[T, R C]`, each their mean over the ranks: `[T, C]`."""

    def gather(self, part: Tensor) -> Tensor:
        """The ranks' parts `[C]` one after the other, `[R C]`, the same on every rank."""

    def exchange(self, messages: Sequence[Tensor], lengths: Sequence[int]) -> list[Tensor]:
        """What each rank has for this one, `[lengths[q]]` from rank `q`, which is given `messages[q]`."""
