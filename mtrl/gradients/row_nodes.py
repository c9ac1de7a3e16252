"""Parameters that are added to rows or multiply them, as an autograd graph remembers them: biases, layer norms.

Axes: `N` rows, `P` entries of the parameter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.autograd.graph import GradientEdge

from mtrl.gradients.own_rows import Order
from mtrl.gradients.parameter_uses import Use
from mtrl.gradients.size import wide
from mtrl.gradients.torch_nodes import ADD, ADDMM, CONVOLUTION, LAYER_NORM, is_plainly_saved, kind


@dataclass(frozen=True, eq=False)
class RowWise:
    """A use of a parameter whose gradient is `sum over rows of factors * deltas`."""

    edge: GradientEdge
    """Where the gradient with respect to the outputs arrives."""
    parameter: Tensor
    factors: Tensor | None
    """`[N, P]`; None: ones."""
    channels_second: bool = False
    """Outputs are `[batch, P, *positions]`."""

    def by_row(self, gradient: Tensor) -> Tensor:
        """The gradient with respect to the outputs as `[N, P]`."""
        if self.channels_second:
            gradient = gradient.movedim(1, -1)
        return gradient.reshape(-1, self.parameter.numel())

    def summed(self, deltas: Tensor, order: Order) -> Tensor:
        """`[T, *shape]`, of gradients with respect to the outputs, `[N, P]`."""
        products = wide(deltas) if self.factors is None else wide(deltas) * self.factors
        return order.by_task(products).sum(1).view(-1, *self.parameter.shape)

    def fits(self, gradient: Tensor) -> bool:
        """Whether the parameter spans the last axes of the outputs, or the channels."""
        if self.channels_second:
            return True
        shape = self.parameter.shape
        while shape and shape[0] == 1:
            shape = shape[1:]
        return len(shape) < gradient.ndim and gradient.shape[gradient.ndim - len(shape) :] == shape


def row_wise_at(use: Use, parameter: Tensor) -> RowWise | None:
    """What a node of the graph does with a parameter; None if that is not known, or it is transposed before."""
    function: Any = use.node
    node, slot = use.node, use.slot
    edge, name = GradientEdge(node, 0), kind(node)
    if use.transposed:
        return None
    if name == CONVOLUTION and slot == 2:
        return RowWise(edge, parameter, None, channels_second=True)
    if name == ADDMM and slot == 0 and function._saved_beta == 1:
        return RowWise(edge, parameter, None)
    if name == ADD and (slot == 0 or function._saved_alpha == 1):
        return RowWise(edge, parameter, None)
    if name == LAYER_NORM and slot == 2:
        return RowWise(edge, parameter, None)
    if name == LAYER_NORM and slot == 1:
        saved = all(is_plainly_saved(node, tensor) for tensor in ("input", "result1", "result2"))
        return RowWise(edge, parameter, _normalised(node)) if saved else None
    return None


def _normalised(node: Any) -> Tensor:
    mean, deviation = node._saved_result1, node._saved_result2
    return ((node._saved_input.detach() - mean) * deviation).reshape(-1, math.prod(node._saved_normalized_shape))
