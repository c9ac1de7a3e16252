"""Which shared parameters' gradients are made of those at layers' outputs, so that no pass computes them per task.

That holds where all that the losses see of a parameter are weights of layers that the graph tells about
(`layer_nodes`), and is done where it is cheaper. With `N` rows, `I` inputs and `O` outputs, a task's gradient takes
`N I O` multiplications. Through the rows, a task's share of the Gram matrix takes `N^2 O` instead, after `N^2 I` for
all tasks, and one gradient is formed, that of the tasks' weighted sum.

A convolution's bias goes with its weight: by itself it would cost a task's pass as much as both.

With ranks, which exchange either the layer's rows or the tasks' gradients, they agree on what takes fewer numbers
(`layer_agreement`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge

from mtrl.gradients.average import Average
from mtrl.gradients.layer_agreement import exchanged
from mtrl.gradients.layer_nodes import Embedding, Layer, is_convolution_bias, layer_at
from mtrl.gradients.parameter_uses import Use, hooked, parameter_uses
from mtrl.gradients.shared_inputs import SharedInputs, TableRows, by_rows

Leaf = Tensor | SharedInputs | TableRows


class Entries(NamedTuple):
    """What a task's gradient of one kind is made of."""

    shape: Sequence[int]
    dtype: torch.dtype
    device: torch.device

    @property
    def number(self) -> int:
        """Of entries."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class LayerPlan:
    """Parameters whose gradients follow from those at layers' outputs, and the layers."""

    parameters: Mapping[str, Tensor]
    """Those of `weights` and `biases`."""
    weights: Mapping[str, Sequence[Layer]]
    """The layers that apply each weight, by parameter name."""
    biases: Mapping[str, Sequence[Layer]]
    """The layers that add each bias, by parameter name; each layer's weight is in `weights`."""

    @property
    def entries(self) -> dict[Layer, Entries]:
        """Of the gradients at each layer's outputs, `[N, O]`."""
        entries: dict[Layer, Entries] = {}
        for name, layers in self.weights.items():
            weight = self.parameters[name]
            for layer in layers:
                shape = (layer.num_rows, weight.numel() // layer.num_inputs)
                entries[layer] = Entries(shape, layer.dtype or weight.dtype, weight.device)
        return entries

    def leaves(self, deltas: Mapping[Layer, Tensor]) -> dict[str, Leaf]:
        """The tasks' gradients, by parameter name.

        Args:
            deltas: of each layer `[T, N, O]`, the tasks' gradients at its outputs.
        """
        leaves: dict[str, Leaf] = {}
        for name, parameter in self.parameters.items():
            if name in self.biases:
                sums = [deltas[layer].sum(1, dtype=_summed_in(parameter)) for layer in self.biases[name]]
                leaves[name] = sum(sums[1:], sums[0])
            else:
                layers = self.weights[name]
                leaves[name] = _leaf(layers, [deltas[layer] for layer in layers], parameter)
        return leaves


def plan_layers(
    roots: Sequence[GradientEdge], parameters: Mapping[str, Tensor], average: Average | None = None
) -> LayerPlan:
    """The plan for a loss per task with these roots; parameters that are not in it are differentiated by as ever.

    Args:
        roots: of the losses; with ranks, of this one's.
        parameters: by name, in the same order on every rank.
        average: over ranks, which then all have to ask.
    """
    found = parameter_uses(roots, parameters)
    known = {name: layers for name, uses in found.items() if (layers := _layers(uses))}
    if average is None:
        known = {name: layers for name, layers in known.items() if _pays(layers, parameters[name], len(roots))}
    known = {name: layers for name, layers in known.items() if not hooked(found[name])}
    at = {layer.edge.node: (name, layer) for name, layers in known.items() for layer in layers}
    added = {
        name: [at[use.node] for use in uses]
        for name, uses in found.items()
        if uses and all(is_convolution_bias(use.node, use.slot) and use.node in at for use in uses) and not hooked(uses)
    }
    if average is None:
        chosen = known.keys() | added.keys()
    else:
        marks = {name: str([weight for weight, _ in places]) for name, places in added.items()}
        chosen = exchanged(len(roots), known, marks, parameters, average)
    weights = {name: layers for name, layers in known.items() if name in chosen}
    biases = {
        name: [layer for _, layer in places]
        for name, places in added.items()
        if name in chosen and all(weight in weights for weight, _ in places)
    }
    return LayerPlan({name: parameters[name] for name in (*weights, *biases)}, weights, biases)


def _layers(uses: Sequence[Use]) -> Sequence[Layer]:
    """What applies a weight; empty if that is not all known."""
    layers = [layer for use in uses if (layer := layer_at(use.node, use.slot, use.transposed)) is not None]
    return layers if len(layers) == len(uses) and len({layer.kind for layer in layers}) == 1 else []


def _pays(layers: Sequence[Layer], parameter: Tensor, num_tasks: int) -> bool:
    """Whether the layers' rows take fewer multiplications than the tasks' gradients."""
    rows, inputs = sum(layer.num_rows for layer in layers), layers[0].num_inputs
    if isinstance(layers[0], Embedding):  # whose inputs are one-hot
        return layers[0].sparse or rows < inputs
    return by_rows(num_tasks, rows, inputs, parameter.numel() // inputs)


def _leaf(layers: Sequence[Layer], deltas: Sequence[Tensor], parameter: Tensor) -> SharedInputs | TableRows:
    table = layers[0]
    if not isinstance(table, Embedding):
        return SharedInputs(layers, deltas)
    indices = torch.cat([layer.inputs() for layer in layers])
    return TableRows.summed(indices, torch.cat([*deltas], 1), len(parameter), table.sparse)


def _summed_in(x: Tensor) -> torch.dtype:
    return torch.float32 if x.dtype.itemsize < 4 else x.dtype
