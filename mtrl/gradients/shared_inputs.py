"""Gradients of a weight for every task, where the tasks share its layer's inputs: kept as factors, never formed.

Axes: `T` tasks, `N` rows (samples times positions), `I` inputs and `O` outputs of a layer.

Task `t`'s gradient is `x^T d_t`, with inputs `x [N, I]` common to all tasks and `d_t [N, O]` the gradient at the
layer's outputs. So `<x^T d_t, x^T d_s> = <d_t, (x x^T) d_s>`, and the combined gradient `x^T (sum_t w_t d_t)` is that
of one plain backward pass, whatever `T`. Nothing of the weight's size times `T` is computed or kept.

Sums are in float32 at least: under autocast, inputs and deltas are of 16 bits.

A Gram matrix takes the inputs' mean over the rows apart, `x = c + m`: `x^T d_t = c^T d_t + m s_t^T`, `s_t` the sum of
`d_t` over the rows. Of inputs far from zero, as years or pressures are, and deltas that sum up to nothing, as before a
normalization or a fitted intercept, `(x x^T) d_s` is a difference of large numbers, rounded by the square of `m`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mtrl.gradients.layer_nodes import Layer
from mtrl.gradients.size import by_task, wide

PARTS = 16
"""Most parts that an inner product is summed from."""


def by_rows(num_tasks: int, rows: int, inputs: int, outputs: int) -> bool:
    """Whether Gram matrix and combination take fewer multiplications from the rows than from the tasks' gradients."""
    formed = num_tasks * (rows + num_tasks) * inputs * outputs
    kernel = rows * rows * (inputs + num_tasks * outputs)
    return kernel + num_tasks * num_tasks * rows * outputs + rows * inputs * outputs < formed


@dataclass(frozen=True, eq=False)
class SharedInputs:
    """Gradients of a linear layer's or convolution's weight, `inputs^T deltas_t`, summed over the weight's uses."""

    uses: Sequence[Layer]
    """The layers that apply the weight."""
    deltas: Sequence[Tensor]
    """Gradients with respect to the outputs of each use, `[T, N, O]`."""

    def gram(self) -> Tensor:
        """The inner products of the tasks' gradients, `[T, T]`."""
        x = _joined([wide(use.inputs()) for use in self.uses], 0)
        centre = x.mean(0)
        x = x - centre
        kernel, along = x @ x.mT, x @ centre
        del x
        deltas = _joined([wide(delta) for delta in self.deltas], 1)
        return _inner(kernel @ deltas, deltas) + _of_centre(centre, along, deltas)

    def combine(self, weights: Tensor) -> Tensor:
        """`sum_t weights_t x^T d_t`, in the shape of the weight."""
        parts = [
            use.weight_gradient(_weighted(weights, delta)) for use, delta in zip(self.uses, self.deltas, strict=True)
        ]
        return sum(parts[1:], parts[0])

    @property
    def output_axis(self) -> int:
        """The weight's axis of outputs."""
        return self.uses[0].output_axis

    def parts(self) -> list[tuple[Tensor, Tensor]]:
        """Of each use, what its inputs are made of, and the gradients at its outputs."""
        return [(use.saved(), delta) for use, delta in zip(self.uses, self.deltas, strict=True)]

    def of_parts(self, parts: Sequence[tuple[Tensor, Tensor]]) -> Tensor | SharedInputs:
        """The gradients that other rows of the same uses make, by the outputs that their deltas are of."""
        uses = [use.of(x, delta.shape[-1]) for use, (x, delta) in zip(self.uses, parts, strict=True)]
        made = SharedInputs(uses, [delta for _, delta in parts])
        T, _, outputs = made.deltas[0].shape
        num_rows = sum(use.num_rows for use in uses)
        return made if by_rows(T, num_rows, uses[0].num_inputs, outputs) else made.product()

    def product(self) -> Tensor:
        """The tasks' gradients, `[T, *shape]`."""
        return torch.stack([self.combine(task) for task in torch.eye(len(self.deltas[0])).to(self.deltas[0])])

    def scaled(self, factors: Tensor) -> SharedInputs:
        """The gradients of each task times its factor, `[T]`."""
        return SharedInputs(self.uses, [delta * by_task(factors, delta) for delta in self.deltas])

    def __add__(self, other: SharedInputs) -> SharedInputs:
        """The gradients of the sum of two losses per task."""
        return SharedInputs([*self.uses, *other.uses], [*self.deltas, *other.deltas])


@dataclass(frozen=True, eq=False)
class TableRows:
    """Gradients of an embedding table: the rows that were looked up and what each has, each row once."""

    rows: Tensor
    """`[U]`"""
    values: Tensor
    """`[T, U, O]`"""
    size: int
    """Rows of the table."""
    sparse: bool
    """The combined gradient is a sparse tensor."""

    @staticmethod
    def summed(indices: Tensor, deltas: Tensor, size: int, sparse: bool) -> TableRows:
        """Made of the rows looked up, `[N]`, and the gradients there, `[T, N, O]`: equal rows are added up."""
        rows, place = indices.unique(return_inverse=True)
        deltas = wide(deltas)
        values = deltas.new_zeros(len(deltas), len(rows), deltas.shape[-1]).index_add_(1, place, deltas)
        return TableRows(rows, values, size, sparse)

    def gram(self) -> Tensor:
        """The inner products of the tasks' gradients, `[T, T]`."""
        return _inner(self.values, self.values)

    @property
    def output_axis(self) -> int:
        """The axis of outputs of what is combined."""
        return 1

    def parts(self) -> list[tuple[Tensor, Tensor]]:
        """The rows that were looked up, and what each has."""
        return [(self.rows, self.values)]

    def of_parts(self, parts: Sequence[tuple[Tensor, Tensor]]) -> TableRows:
        """The gradients that other rows make, by the outputs that their values are of."""
        [(indices, values)] = parts
        return TableRows.summed(indices, values, self.size, self.sparse)

    def combine(self, weights: Tensor) -> Tensor:
        """`sum_t weights_t g_t`, `[size, O]`."""
        return self.placed(self.combined_rows(weights))

    def combined_rows(self, weights: Tensor) -> Tensor:
        """`sum_t weights_t g_t` at the rows that were looked up, `[U, O]`."""
        return _weighted(weights, self.values)

    def placed(self, values: Tensor) -> Tensor:
        """Values of these rows, `[U, O]`, in a table of zeros, `[size, O]`."""
        shape = (self.size, values.shape[-1])
        if self.sparse:
            return torch.sparse_coo_tensor(self.rows[None], values, shape, is_coalesced=True, check_invariants=False)
        return values.new_zeros(shape).index_copy_(0, self.rows, values)

    def product(self) -> Tensor:
        """The tasks' gradients, `[T, size, O]`."""
        shape = (len(self.values), self.size, self.values.shape[-1])
        return self.values.new_zeros(shape).index_copy_(1, self.rows, self.values)

    def scaled(self, factors: Tensor) -> TableRows:
        """The gradients of each task times its factor, `[T]`."""
        return replace(self, values=self.values * by_task(factors, self.values))

    def __add__(self, other: TableRows) -> TableRows:
        """The gradients of the sum of two losses per task."""
        rows, values = torch.cat([self.rows, other.rows]), torch.cat([self.values, other.values], 1)
        return TableRows.summed(rows, values, self.size, self.sparse)


def _joined(parts: Sequence[Tensor], axis: int) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat([*parts], axis)


def _of_centre(centre: Tensor, along: Tensor, deltas: Tensor) -> Tensor:
    """What the inputs' mean adds to a Gram matrix, `[T, T]`.

    Args:
        centre: the mean, `[I]`.
        along: inner products with it of the inputs apart from it, `[N]`.
        deltas: `[T, N, O]`.
    """
    weighted, sums = (torch.stack([along, torch.ones_like(along)]) @ deltas).double().unbind(1)  # read once
    cross = weighted @ sums.mT
    square = torch.linalg.vector_norm(centre, dtype=torch.float64).square()
    return (cross + cross.mT + square * (sums @ sums.mT)).to(deltas.dtype)


def _inner(a: Tensor, b: Tensor) -> Tensor:
    """`sum over rows and outputs of a_t b_s`, `[T, T]` of two `[T, N, O]`."""
    # Some products and their sum: a single one, as long as this, would run on one thread.
    parts = math.gcd(a.shape[1], PARTS)
    a, b = (x.reshape(len(x), parts, -1).transpose(0, 1) for x in (a, b))
    return (a @ b.mT).sum(0)


def _weighted(weights: Tensor, deltas: Tensor) -> Tensor:
    """The tasks' deltas `[T, N, O]` summed with weights `[T]`, `[N, O]`."""
    deltas = wide(deltas)
    return (weights.to(deltas.dtype) @ deltas.flatten(1)).view(deltas.shape[1:])
