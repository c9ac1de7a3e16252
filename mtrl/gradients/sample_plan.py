"""Where each sample of a batch is a task: what the parameters' gradients are made of, row by row of layers' outputs.

Axes: `T` tasks, that is samples; a layer has `N` rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.autograd.graph import GradientEdge, Node

from mtrl.gradients.layer_nodes import Layer, layer_at
from mtrl.gradients.own_rows import Order, OwnRows
from mtrl.gradients.parameter_uses import hooked, parameter_uses
from mtrl.gradients.row_nodes import RowWise, row_wise_at

LEAST_TASKS = 8
"""Fewer have a backward pass each."""


@dataclass(frozen=True)
class SamplePlan:
    """Parameters, and all that the losses do with them, by parameter name."""

    parameters: Mapping[str, Tensor]
    weights: Mapping[str, Sequence[Layer]]
    row_wise: Mapping[str, Sequence[RowWise]]

    @property
    def uses(self) -> list[Layer | RowWise]:
        """All uses of the parameters."""
        layers = [layer for layers in self.weights.values() for layer in layers]
        return [*layers, *(row for rows in self.row_wise.values() for row in rows)]

    @property
    def edges(self) -> dict[Node, GradientEdge]:
        """Where gradients are to be looked at, those of the last layers first."""
        edges = {use.edge.node: use.edge for use in self.uses}
        return {node: edges[node] for node in sorted(edges, key=lambda node: -node._sequence_nr())}

    def leaves(
        self, deltas: Mapping[Layer | RowWise, Tensor], orders: Mapping[Layer | RowWise, Order]
    ) -> dict[str, Tensor | OwnRows]:
        """The tasks' gradients by parameter name, of those `[N, O]` at the layers' outputs."""
        leaves: dict[str, Tensor | OwnRows] = {}
        for name in self.parameters:
            if name in self.weights:
                uses = self.weights[name]
                leaves[name] = OwnRows(uses, [deltas[use] for use in uses], [orders[use] for use in uses])
            else:
                sums = [use.summed(deltas[use], orders[use]) for use in self.row_wise[name]]
                leaves[name] = sum(sums[1:], sums[0])
        return leaves


def plan_samples(roots: Sequence[GradientEdge], parameters: Mapping[str, Tensor]) -> SamplePlan | None:
    """None: the losses are no vector, or a parameter's gradient does not follow from rows."""
    if len(roots) < LEAST_TASKS or len({root.node for root in roots}) > 1:
        return None
    found = parameter_uses(roots, parameters)
    if len(found) < len(parameters) or any(map(hooked, found.values())):
        return None
    weights: dict[str, Sequence[Layer]] = {}
    row_wise: dict[str, Sequence[RowWise]] = {}
    for name, uses in found.items():
        layers = [layer for use in uses if (layer := layer_at(use.node, use.slot, use.transposed)) is not None]
        rows = [row for use in uses if (row := row_wise_at(use, parameters[name])) is not None]
        if len(layers) == len(uses) and len({layer.kind for layer in layers}) == 1:
            weights[name] = layers
        elif len(rows) == len(uses) and rows:
            row_wise[name] = rows
        elif uses:
            return None
    return SamplePlan({name: parameters[name] for name in (*weights, *row_wise)}, weights, row_wise)
