"""Layers as an autograd graph remembers them: a node that applies a weight, and the inputs that it saved.

Axes: `N` rows (samples times positions), `I` inputs and `O` outputs of a layer; leading axes are written `...`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge, Node
from torch.nn import functional

from mtrl.gradients.torch_nodes import ADDMM, CONVOLUTION, EMBEDDING, MM, is_plainly_saved, kind


class Layer(Protocol):
    """A use of a weight: outputs `x W`, with a row of `x` per sample and position."""

    @property
    def edge(self) -> GradientEdge:
        """Where the gradient with respect to the outputs arrives."""

    @property
    def kind(self) -> object:
        """Equal for uses of a weight whose rows can be put below each other."""

    @property
    def settings(self) -> object:
        """All that is the same for any rows and outputs; as text, the same in every process."""

    @property
    def output_axis(self) -> int:
        """The weight's axis of outputs."""

    @property
    def dtype(self) -> torch.dtype | None:
        """The dtype of the outputs; None: the weight's."""

    @property
    def num_rows(self) -> int:
        """Number of rows, `N`: samples times positions."""

    @property
    def num_inputs(self) -> int:
        """Number of inputs of a row, `I`."""

    def saved(self) -> Tensor:
        """What the inputs are made of; those of other samples may follow along the first axis."""

    @property
    def version(self) -> int:
        """Of what the inputs are made of: another one after it was changed in place, by whoever owns it."""

    def of(self, saved: Tensor, num_outputs: int) -> Layer:
        """The same layer for other inputs, and the first outputs alone."""

    def inputs(self) -> Tensor:
        """`[N, I]`; of an embedding `[N]`, which rows of the table are looked up."""

    def by_row(self, gradient: Tensor) -> Tensor:
        """The gradient with respect to the outputs, `[..., *outputs]`, as `[..., N, O]`; 0 where none is wanted."""

    def weight_gradient(self, deltas: Tensor) -> Tensor:
        """`x^T deltas` in the shape of the weight, of deltas `[N, O]`."""


@dataclass(frozen=True, eq=False)
class Linear:
    """`x W`, or `x W^T` as in `torch.nn.Linear`."""

    edge: GradientEdge
    x: Tensor
    """`[N, I]`"""
    transposed: bool
    """The weight is `[O, I]`."""

    @property
    def kind(self) -> object:
        return Linear, self.transposed

    @property
    def settings(self) -> object:
        return "linear", self.transposed, self.x.dtype

    @property
    def output_axis(self) -> int:
        return 0 if self.transposed else 1

    @property
    def dtype(self) -> torch.dtype | None:
        return self.x.dtype

    @property
    def num_rows(self) -> int:
        return self.x.shape[0]

    @property
    def num_inputs(self) -> int:
        return self.x.shape[1]

    def saved(self) -> Tensor:
        return self.x

    @property
    def version(self) -> int:
        return self.x._version

    def of(self, saved: Tensor, num_outputs: int) -> Linear:
        return replace(self, x=saved)

    def inputs(self) -> Tensor:
        return self.x

    def by_row(self, gradient: Tensor) -> Tensor:
        return gradient

    def weight_gradient(self, deltas: Tensor) -> Tensor:
        x = self.x.to(deltas.dtype)
        return deltas.mT @ x if self.transposed else x.mT @ deltas


@dataclass(frozen=True, eq=False)
class Convolution:
    """A convolution in any number of dimensions: a linear layer whose inputs are windows."""

    edge: GradientEdge
    x: Tensor
    """`[batch, channels, *positions]`"""
    weight: Tensor
    """`[O, channels, *window]`"""
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]

    @property
    def kind(self) -> object:
        return Convolution

    @property
    def settings(self) -> object:
        return "convolution", [*self.x.shape[1:]], self.x.dtype, self.stride, self.padding, self.dilation

    @property
    def output_axis(self) -> int:
        return 0

    @property
    def dtype(self) -> torch.dtype | None:
        return self.x.dtype

    @property
    def positions(self) -> list[int]:
        """Numbers of output positions along each dimension."""
        settings = zip(self.x.shape[2:], self.weight.shape[2:], self.stride, self.padding, self.dilation, strict=True)
        return [(size + 2 * pad - apart * (window - 1) - 1) // step + 1 for size, window, step, pad, apart in settings]

    @property
    def num_rows(self) -> int:
        return len(self.x) * math.prod(self.positions)

    @property
    def num_inputs(self) -> int:
        return self.weight[0].numel()

    def saved(self) -> Tensor:
        return self.x

    @property
    def version(self) -> int:
        return self.x._version

    def of(self, saved: Tensor, num_outputs: int) -> Convolution:
        return replace(self, x=saved, weight=self.weight[:num_outputs])

    def inputs(self) -> Tensor:
        # Channels last in each window, so that what is copied are long pieces; the order of inputs is free.
        sides = [side for pad in reversed(self.padding) for side in (pad, pad)]
        windows = functional.pad(self.x.movedim(1, -1).contiguous(), [0, 0, *sides])
        settings = zip(self.weight.shape[2:], self.stride, self.dilation, strict=True)
        for axis, (window, step, apart) in enumerate(settings, start=1):
            windows = windows.unfold(axis, apart * (window - 1) + 1, step)[..., ::apart]
        return windows.movedim(1 + len(self.stride), -1).reshape(self.num_rows, self.num_inputs)

    def by_row(self, gradient: Tensor) -> Tensor:
        space = len(self.stride)
        return gradient.movedim(-1 - space, -1).flatten(-2 - space, -2)

    def weight_gradient(self, deltas: Tensor) -> Tensor:
        at_outputs = deltas.view(len(self.x), *self.positions, -1).movedim(-1, 1).contiguous()
        x, weight = self.x.to(deltas.dtype), self.weight.to(deltas.dtype)
        no_output_padding, wanted = [0] * len(self.stride), [False, True, False]
        return torch.ops.aten.convolution_backward(
            at_outputs, x, weight, None, self.stride, self.padding, self.dilation, False, no_output_padding, 1, wanted
        )[1]


@dataclass(frozen=True, eq=False)
class Embedding:
    """Rows of a table, looked up: a linear layer whose inputs are one-hot."""

    edge: GradientEdge
    indices: Tensor
    """Any shape of `N` elements."""
    size: int
    """Rows of the table."""
    padding: int
    """The row that is not trained; negative: none."""
    sparse: bool
    """The table's gradient is a sparse tensor."""

    @property
    def kind(self) -> object:
        return Embedding, self.padding, self.sparse

    @property
    def settings(self) -> object:
        return "embedding", self.padding, self.sparse

    @property
    def output_axis(self) -> int:
        return 1

    @property
    def dtype(self) -> torch.dtype | None:
        return None

    @property
    def num_rows(self) -> int:
        return self.indices.numel()

    @property
    def num_inputs(self) -> int:
        return self.size

    def saved(self) -> Tensor:
        return self.indices.flatten()

    @property
    def version(self) -> int:
        return self.indices._version

    def of(self, saved: Tensor, num_outputs: int) -> Embedding:
        return replace(self, indices=saved)

    def inputs(self) -> Tensor:
        return self.indices.flatten()

    def by_row(self, gradient: Tensor) -> Tensor:
        if self.padding >= 0:
            gradient = gradient.masked_fill((self.indices == self.padding)[..., None], 0)
        leading = gradient.shape[: gradient.ndim - self.indices.ndim - 1]
        return gradient.reshape(*leading, self.num_rows, gradient.shape[-1])

    def weight_gradient(self, deltas: Tensor) -> Tensor:
        return deltas.new_zeros(self.size, deltas.shape[-1]).index_add_(0, self.inputs(), deltas)


def layer_at(node: Node, slot: int, transposed: bool) -> Layer | None:
    """What a node of the graph does with its input `slot`, a parameter; None if that is not known.

    Args:
        node: of the graph.
        slot: which of the node's inputs.
        transposed: the parameter is transposed on its way there.
    """
    weight_slot, saved, read = _KNOWN.get(kind(node), (None, "", _mm))
    return read(node, transposed) if slot == weight_slot and is_plainly_saved(node, saved) else None


def is_convolution_bias(node: Node, slot: int) -> bool:
    """Whether the input `slot` of a node is a convolution's bias."""
    return kind(node) == CONVOLUTION and slot == 2


def _addmm(node: Any, transposed: bool) -> Layer | None:
    return _linear(node, node._saved_mat1.detach(), transposed) if node._saved_alpha == 1 else None


def _mm(node: Any, transposed: bool) -> Layer | None:
    return _linear(node, node._saved_self.detach(), transposed)


def _linear(node: Node, x: Tensor, transposed: bool) -> Layer | None:
    return Linear(GradientEdge(node, 0), x, transposed) if _makes_rows(x) else None


def _convolution(node: Any, transposed: bool) -> Layer | None:
    if node._saved_groups != 1 or node._saved_transposed or transposed or not is_plainly_saved(node, "weight"):
        return None
    x, weight = node._saved_input.detach(), node._saved_weight.detach()
    settings = node._saved_stride, node._saved_padding, node._saved_dilation
    return Convolution(GradientEdge(node, 0), x, weight, *settings) if _makes_rows(x) else None


def _embedding(node: Any, transposed: bool) -> Layer | None:
    if node._saved_scale_grad_by_freq or transposed or node._saved_weight_sym_argsize_0 == 0:
        return None
    size, padding = node._saved_weight_sym_argsize_0, node._saved_padding_idx
    padding = -1 if padding >= 2**63 else padding  # what is read has lost its sign
    return Embedding(GradientEdge(node, 0), node._saved_indices, size, padding, node._saved_sparse)


def _makes_rows(x: Tensor) -> bool:
    """Whether the inputs are real numbers side by side, and there are some: no sparse or complex ones."""
    return type(x) is Tensor and x.layout == torch.strided and x.is_floating_point() and x.numel() > 0


_KNOWN: dict[str, tuple[int, str, Callable[[Any, bool], Layer | None]]] = {
    ADDMM: (2, "mat1", _addmm),
    MM: (1, "self", _mm),
    CONVOLUTION: (1, "input", _convolution),
    EMBEDDING: (0, "indices", _embedding),
}
"""By a node's name: which of its inputs is the weight, which saved tensor the layer's inputs, and what reads it."""
