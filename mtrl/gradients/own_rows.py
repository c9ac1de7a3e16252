"""Gradients of a weight for every task, where each task has rows of its own in every layer: kept as factors.

Axes: `T` tasks, `B` rows of a task, `N = T B` rows; `I` inputs and `O` outputs of a layer.

Task `t`'s gradient is `x_t^T d_t`, so that `<x_t^T d_t, x_s^T d_s> = sum over rows of (x_t x_s^T) * (d_t d_s^T)`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mtrl.gradients.layer_nodes import Embedding, Layer
from mtrl.gradients.size import wide

ENTRIES = 2**22
"""Most numbers in an intermediate result."""


@dataclass(frozen=True)
class Order:
    """How the rows of a layer belong to the tasks."""

    num_tasks: int
    together: bool
    """A task's rows follow each other; else each `T` rows in a row are one of every task."""

    def by_task(self, rows: Tensor) -> Tensor:
        """Rows `[N, ...]` put together by task, `[T, B, ...]`."""
        if self.together:
            return rows.reshape(self.num_tasks, -1, *rows.shape[1:])
        return rows.reshape(-1, self.num_tasks, *rows.shape[1:]).transpose(0, 1)

    def by_row(self, numbers: Tensor, num_rows: int) -> Tensor:
        """`[T]`, a number per task, as a column for the rows, `[N, 1]`."""
        times = num_rows // self.num_tasks
        return (numbers.repeat_interleave(times) if self.together else numbers.repeat(times))[:, None]


@dataclass(frozen=True, eq=False)
class OwnRows:
    """Gradients of a layer's weight, `inputs_t^T deltas_t`, summed over the uses of the weight."""

    uses: Sequence[Layer]
    deltas: Sequence[Tensor]
    """Gradients with respect to the outputs of each use, `[N, O]`."""
    orders: Sequence[Order]
    """The order of the rows of each use."""

    def gram(self) -> Tensor:
        """The inner products of the tasks' gradients, `[T, T]`."""
        ordered = zip(self.uses, self.deltas, self.orders, strict=True)
        inputs, deltas = zip(*[(o.by_task(use.inputs()), o.by_task(d)) for use, d, o in ordered], strict=True)
        x, d = wide(torch.cat(inputs, 1)), wide(torch.cat(deltas, 1))
        T, B, outputs = d.shape
        num_inputs = self.uses[0].num_inputs
        by_rows = B * B * (num_inputs + outputs)
        formed = B * num_inputs * outputs // T + num_inputs * outputs
        if isinstance(self.uses[0], Embedding) or by_rows < formed:
            return torch.cat([*_by_rows(x, d)])
        return sum(_by_product(x, d), d.new_zeros(T, T))

    def combine(self, weights: Tensor) -> Tensor:
        """`sum_t weights_t x_t^T d_t`, in the shape of the weight."""
        parts = [
            use.weight_gradient(wide(delta) * order.by_row(weights.to(wide(delta)), len(delta)))
            for use, delta, order in zip(self.uses, self.deltas, self.orders, strict=True)
        ]
        return sum(parts[1:], parts[0])

    def product(self) -> Tensor:
        """The tasks' gradients, `[T, *shape]`."""
        tasks = torch.eye(self.orders[0].num_tasks, device=self.deltas[0].device)
        return torch.stack([self.combine(task) for task in tasks])

    def scaled(self, factors: Tensor) -> OwnRows:
        """The gradients of each task times its factor, `[T]`."""
        ordered = zip(self.deltas, self.orders, strict=True)
        deltas = [delta * order.by_row(factors, len(delta)).to(delta.dtype) for delta, order in ordered]
        return replace(self, deltas=deltas)

    def __add__(self, other: OwnRows) -> OwnRows:
        """The gradients of the sum of two losses per task."""
        return OwnRows([*self.uses, *other.uses], [*self.deltas, *other.deltas], [*self.orders, *other.orders])


def _by_rows(x: Tensor, d: Tensor) -> Iterator[Tensor]:
    """Some rows of the Gram matrix at a time; `x` is `[T, B, I]`, or of an embedding `[T, B]`."""
    T, B = x.shape[:2]
    flat_x, flat_d = x.flatten(0, 1), d.flatten(0, 1)
    step = max(1, ENTRIES // (T * B * B))
    for start in range(0, T, step):
        some_x, some_d = x[start : start + step].flatten(0, 1), d[start : start + step].flatten(0, 1)
        alike = some_x[:, None] == flat_x if x.ndim == 2 else some_x @ flat_x.mT
        yield (alike * (some_d @ flat_d.mT)).view(-1, B, T, B).sum((1, 3))


def _by_product(x: Tensor, d: Tensor) -> Iterator[Tensor]:
    """The part of the Gram matrix that some of the outputs make, at a time."""
    step = max(1, ENTRIES // (len(x) * x.shape[-1]))
    for start in range(0, d.shape[-1], step):
        gradients = (x.mT @ d[..., start : start + step]).flatten(1)
        yield gradients @ gradients.mT
