"""Gradients of every task with respect to the same parameters: what collects them gives, what aggregation takes.

Axes: `T` tasks, `B` rows of a task, `I` inputs and `O` outputs of a linear layer; leading axes are written `...`:
several models side by side, each with parameters of its own.
"""

from __future__ import annotations  # evaluated annotations of inner functions break compiled graphs

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from mtrl.aggregation import CoordinateMethod, GradientMethod, LossMethod, Method
from mtrl.aggregation.gradient_method import in_columns
from mtrl.gradients.own_rows import OwnRows
from mtrl.gradients.shared_inputs import SharedInputs, TableRows
from mtrl.gradients.size import by_task, wide

ROW = 4096
"""Least length of the rows that a leaf's Gram matrix is summed over."""
BY_ROWS = 5
"""A weight's Gram matrix is taken by rows while `B^2 (I + O)` is at most so many times `I O`. Measured for `T = 10` on
CPUs with AVX2 and AVX-512: equal at about 25 rows a task of a layer with 256 inputs and outputs, 35 with 512."""


class Factors(NamedTuple):
    """The gradients of a weight matrix for every task, as factors: `inputs_i^T deltas_i`.

    Axes `*L` between the leading ones and the tasks are of matrices side by side, twin critics' say: one parameter.
    """

    inputs: Tensor
    """`[..., *L, T, B, I]`"""
    deltas: Tensor
    """`[..., *L, T, B, O]`, gradients with respect to the layer's outputs."""

    @property
    def by_rows(self) -> bool:
        """Whether the Gram matrix costs less from the rows than from the products."""
        (rows, num_inputs), num_outputs = self.inputs.shape[-2:], self.deltas.shape[-1]
        return rows**2 * (num_inputs + num_outputs) <= BY_ROWS * num_inputs * num_outputs

    def product(self, leading: int) -> Tensor:
        """`[..., T, *L, I, O]`, for so many leading axes."""
        inputs, deltas = self.inputs.movedim(-3, leading), self.deltas.movedim(-3, leading)
        # In bfloat16 the products are rounded once, and the Gram matrix of the rounded ones is exactly semidefinite.
        return (inputs.mT @ deltas.to(inputs.dtype)).to(deltas.dtype)

    def wide(self) -> Factors:
        """The same in float32 at least: of two matrices rounded to 16 bits the product need not be semidefinite."""
        dtype = torch.promote_types(self.deltas.dtype, torch.float32)
        return Factors(self.inputs.to(dtype), self.deltas.to(dtype))

    def gram(self, leading: int, other: Factors | None = None) -> Tensor:
        """`[..., T, T]` without the products: `<x_i^T d_i, x_j^T d_j>` is the sum of `(x_i x_j^T) * (d_i d_j^T)`.

        Args:
            leading: number of leading axes.
            other: of the second gradient of each pair, whose tasks may be others; None for these themselves.
        """
        x, d = (t.flatten(-3, -2) for t in self.wide())  # [..., *L, T B, I], [..., *L, T B, O]
        y, e = (x, d) if other is None else (t.flatten(-3, -2) for t in other.wide())
        pairs = (x @ y.mT) * (d @ e.mT)  # [..., *L, T B, T B]
        rows = self.inputs.shape[-2]
        gram = pairs.unflatten(-1, (-1, rows)).unflatten(-3, (-1, rows)).sum((-3, -1))  # [..., *L, T, T]
        return gram.sum(tuple(range(leading, gram.ndim - 2))) if gram.ndim > leading + 2 else gram

    def combine(self, weights: Tensor) -> Tensor:
        """`[..., *L, I, O]`, the tasks' gradients summed with weights `[..., T]`: one product over all rows."""
        matrices = self.inputs.ndim - 2 - weights.ndim  # number of axes L
        by_row = weights.view(*weights.shape[:-1], *(1 for _ in range(matrices)), weights.shape[-1], 1, 1)
        inputs, deltas = self.inputs.flatten(-3, -2), self.deltas * by_row.to(self.deltas.dtype)
        return (inputs.mT @ deltas.flatten(-3, -2).to(inputs.dtype)).to(deltas.dtype)


Leaf = Tensor | Factors | SharedInputs | TableRows | OwnRows
"""One parameter's gradients of every task."""


class Aggregate(NamedTuple):
    """A step's direction and where it comes from."""

    direction: dict[str, Tensor]
    """What takes the gradient's place, by parameter name, in the shape of the parameter."""
    weights: Tensor
    """`[..., T]`; NaN from a coordinate-wise rule, which has none."""
    gram: Tensor | None
    """`[..., T, T]`, of the tasks' gradients; None where the method does not need it."""


@dataclass(frozen=True)
class TaskGradients:
    """Gradients of every task with respect to the same parameters, leaf by leaf; no Jacobian is concatenated."""

    leaves: Mapping[str, Leaf]
    """Gradients by parameter name: `[..., T, *shape]`, or the factors of a weight matrix."""
    leading: int = 0
    """Number of leading axes."""

    def gram(self) -> Tensor:
        """Inner products of the tasks' gradients, `[..., T, T]`, in the parameters' dtype (float32 for 16-bit ones).

        Symmetric to the last digit.
        """
        gram = torch.stack([_leaf_gram(leaf, self.leading) for leaf in self.leaves.values()]).sum(0)
        return (gram + gram.mT) / 2

    def combine(self, weights: Tensor) -> dict[str, Tensor]:
        """The update direction `sum_i w_i g_i`.

        Args:
            weights: `[..., T]`.

        Returns:
            By parameter name, in the shape of the parameter (leading axes first), in float32 at least.
        """
        return {name: _leaf_combine(leaf, weights) for name, leaf in self.leaves.items()}

    def kept(self) -> TaskGradients:
        """The same, as both Gram matrix and combination read them: factors by rows, or multiplied out once."""
        return self.with_leaves({name: _kept(leaf, self.leading) for name, leaf in self.leaves.items()})

    def whole(self) -> dict[str, Tensor]:
        """The gradients by parameter name, `[..., T, *shape]`, factors multiplied out."""
        return {name: _whole(leaf, self.leading) for name, leaf in self.leaves.items()}

    def with_leaves(self, leaves: Mapping[str, Leaf]) -> TaskGradients:
        """Other gradients with the same leading axes."""
        return TaskGradients(leaves, self.leading)

    def __add__(self, other: TaskGradients) -> TaskGradients:
        """The gradients of the sum of two losses per task, for instance of two parts of a batch."""
        return self.with_leaves({name: _leaf_sum(leaf, other.leaves[name]) for name, leaf in self.leaves.items()})

    def scaled(self, factors: Tensor) -> TaskGradients:
        """The gradients of each task times its factor, `[T]`."""
        return self.with_leaves({name: _leaf_scaled(leaf, factors) for name, leaf in self.leaves.items()})

    def aggregate(self, method: Method | CoordinateMethod, losses: Tensor) -> Aggregate:
        """The direction that a method makes of the gradients.

        Args:
            method: its state moves on by one call.
            losses: `[..., T]`.
        """
        gradients, gram = self, None
        if not isinstance(method, LossMethod | CoordinateMethod):
            gradients = self.kept()
            gram = gradients.gram()
        if isinstance(method, GradientMethod):
            return Aggregate(*method.direction(gradients, losses), gram)
        weights = method(gram, losses)
        return Aggregate(gradients.combine(weights), weights, gram)


def _kept(leaf: Leaf, leading: int) -> Leaf:
    """What the Gram matrix and the combination both read: products, once, or rows."""
    return leaf.product(leading) if isinstance(leaf, Factors) and not leaf.by_rows else leaf


def _whole(leaf: Leaf, leading: int) -> Tensor:
    if isinstance(leaf, Factors):
        return leaf.product(leading)
    return leaf if isinstance(leaf, Tensor) else leaf.product()


def _leaf_gram(leaf: Leaf, leading: int) -> Tensor:
    leaf = _kept(leaf, leading)
    if isinstance(leaf, SharedInputs | TableRows | OwnRows):
        return leaf.gram()
    if isinstance(leaf, Factors):
        return leaf.gram(leading)
    if leading:  # one after the other: side by side, the rows below would have to be copied into another order
        return torch.stack([_leaf_gram(part, leading - 1) for part in leaf.unbind()])
    leaf = wide(leaf)
    # A small product per row of the parameter, then their sum: one long product would run on one thread.
    shape = leaf.shape[1:]
    split = len(shape)
    while split and math.prod(shape[split:]) < ROW:
        split -= 1
    by_row = leaf.reshape(leaf.shape[0], math.prod(shape[:split]), math.prod(shape[split:])).transpose(0, 1)
    return (by_row @ by_row.mT).sum(0)


def _leaf_sum(a: Leaf, b: Leaf) -> Leaf:
    if isinstance(a, Factors) and isinstance(b, Factors):
        return Factors(torch.cat((a.inputs, b.inputs), -2), torch.cat((a.deltas, b.deltas), -2))
    assert not isinstance(a, Factors)
    assert not isinstance(b, Factors)
    if type(a) is not type(b) or _kind(a) != _kind(b):  # parts of a batch of different sizes or models, say
        a, b = (leaf if isinstance(leaf, Tensor) else leaf.product() for leaf in (a, b))
    return a + b  # type: ignore[operator]


def _kind(leaf: Leaf) -> object:
    """Equal for gradients by rows that can be put below each other."""
    return leaf.uses[0].kind if isinstance(leaf, SharedInputs | OwnRows) else None


def _leaf_scaled(leaf: Leaf, factors: Tensor) -> Leaf:
    if isinstance(leaf, SharedInputs | TableRows | OwnRows):
        return leaf.scaled(factors)
    if isinstance(leaf, Factors):
        return Factors(leaf.inputs, leaf.deltas * by_task(factors, leaf.deltas))
    return leaf * by_task(factors, leaf)


def _leaf_combine(leaf: Leaf, weights: Tensor) -> Tensor:
    if not isinstance(leaf, Tensor):
        return leaf.combine(weights)
    axes = weights.ndim
    leaf = wide(leaf)  # weights may be outside the range of 16 bits
    combined = weights.to(leaf.dtype).unsqueeze(-2) @ in_columns(leaf, axes)
    return combined.view(leaf.shape[: axes - 1] + leaf.shape[axes:])
