"""Averages of per-task gradients over ranks, of which each rank keeps an equal part of the entries.

Every rank needs the Gram matrix and the combined gradient, and neither needs a whole gradient of any task: the ranks
exchange their parts once, add up the Gram matrices of the parts, and exchange the combination. That is half the bytes
of averaging every task's gradient everywhere, and an `R`-th of the memory for what is averaged. Where gradients are
kept as factors, a rank's part is that of some outputs of the layer (`layer_shards`).

Axes: `T` tasks, `R` ranks, `C` entries of a part.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from mtrl.aggregation.gradient_method import in_columns
from mtrl.gradients.average import Average
from mtrl.gradients.layer_shards import LayerShard, combined, layer_shards, whole
from mtrl.gradients.leaves import ROW, Leaf, TaskGradients
from mtrl.gradients.shared_inputs import SharedInputs, TableRows
from mtrl.gradients.size import by_task

Kind = tuple[torch.dtype, torch.device]


@dataclass(frozen=True)
class ShardedGradients:
    """This rank's part of the averaged gradients, of all parameters of a dtype and device together."""

    parts: Mapping[Kind, Tensor]
    """`[T, C]`, in the order of the parameters that have shapes; with zeros at the end."""
    shapes: Mapping[str, tuple[Kind, torch.Size]]
    """Of the parameters whose gradients were formed, by name."""
    layers: Mapping[str, LayerShard]
    """Parts of the others, by name."""
    names: Sequence[str]
    """Of all parameters, in their order."""
    average: Average

    def gram(self) -> Tensor:
        """Inner products of the tasks' gradients, `[T, T]`: the same on every rank; float32 for 16-bit gradients."""
        leaves = [*map(in_rows, self.parts.values()), *(shard.part for shard in self.layers.values())]
        gram = TaskGradients({str(i): leaf for i, leaf in enumerate(leaves)}).gram()
        mean = gram.double()
        self.average([mean])
        return (mean * self.average.size).to(gram.dtype)

    def combine(self, weights: Tensor) -> dict[str, Tensor]:
        """The update direction `sum_i w_i g_i` by parameter name, whole, the same on every rank.

        Args:
            weights: `[T]`.
        """
        formed = {kind: self.average.gather(combined(part, weights)) for kind, part in self.parts.items()}
        at = dict.fromkeys(formed, 0)
        direction = whole(self.layers, weights, self.average)
        for name, (kind, shape) in self.shapes.items():
            size = math.prod(shape)
            direction[name] = formed[kind][at[kind] : at[kind] + size].view(shape)
            at[kind] += size
        return {name: direction[name] for name in self.names}


def sharded(leaves: Mapping[str, Leaf], factors: Tensor, average: Average) -> ShardedGradients:
    """The averages over the ranks of every task's gradients.

    Args:
        leaves: by parameter name; of the same kinds and shapes, in the same order, on every rank.
        factors: on this rank's gradients of each task, `[T]`.
        average: over the ranks.
    """
    layers = {name: leaf for name, leaf in leaves.items() if isinstance(leaf, SharedInputs | TableRows)}
    formed = {name: leaf for name, leaf in leaves.items() if isinstance(leaf, Tensor)}
    shapes = {name: ((leaf.dtype, leaf.device), leaf.shape[1:]) for name, leaf in formed.items()}
    parts: dict[Kind, Tensor] = {}
    for kind in dict.fromkeys(kind for kind, _ in shapes.values()):
        rows = torch.cat([in_columns(leaf, 1) for name, leaf in formed.items() if shapes[name][0] == kind], 1)  # [T, P]
        rows.mul_(by_task(factors, rows))
        parts[kind] = average.scatter(in_equal_parts(rows, average.size))
    return ShardedGradients(parts, shapes, layer_shards(layers, factors, average), [*leaves], average)


def in_equal_parts(rows: Tensor, num_parts: int) -> Tensor:
    """`[..., R C]`, with zeros behind the `[..., P]` that there are: `C` is a multiple of `ROW` if it is longer."""
    length = math.ceil(rows.shape[-1] / num_parts)
    length = math.ceil(length / ROW) * ROW if length > ROW else length
    return pad(rows, (0, num_parts * length - rows.shape[-1]))


def in_rows(part: Tensor) -> Tensor:
    """`[..., C / ROW, ROW]` of `[..., C]`, if it is long: its Gram matrix then is a sum of small products."""
    return part.unflatten(-1, (-1, ROW)) if part.shape[-1] > ROW else part
