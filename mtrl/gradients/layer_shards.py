"""Averages over ranks of layers' gradients that stay factors: each rank has the rows of all, for a part of the outputs.

Axes: `T` tasks, `R` ranks, `O` outputs of a layer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from mtrl.gradients.average import Average
from mtrl.gradients.leaves import Leaf, TaskGradients
from mtrl.gradients.shared_inputs import SharedInputs, TableRows
from mtrl.gradients.size import by_task


@dataclass(frozen=True)
class LayerShard:
    """Averaged gradients of a weight, of a part of its layer's outputs."""

    part: Tensor | SharedInputs | TableRows
    """Of `O / R` outputs, rounded up; those behind the last one are zeros."""
    num_outputs: int
    """Of all ranks."""
    axis: int
    """Of the outputs."""

    def combine(self, weights: Tensor) -> Tensor:
        """This rank's part of `sum_i w_i g_i`; of an embedding, the rows that were looked up."""
        part = self.part
        return part.combined_rows(weights) if isinstance(part, TableRows) else combined(part, weights)

    def whole(self, parts: Sequence[Tensor]) -> Tensor:
        """What all ranks' parts make together, in the shape of the weight."""
        joined = torch.cat([*parts], self.axis).narrow(self.axis, 0, self.num_outputs)
        return self.part.placed(joined) if isinstance(self.part, TableRows) else joined


class _Sent(NamedTuple):
    """What goes to each rank, and the shapes of what comes from each."""

    to: Sequence[Tensor]
    shapes: Sequence[Sequence[int]]


def combined(leaf: Leaf, weights: Tensor) -> Tensor:
    """`sum_i w_i g_i` of one parameter."""
    return TaskGradients({"": leaf}).combine(weights)[""]


def layer_shards(
    leaves: Mapping[str, SharedInputs | TableRows], factors: Tensor, average: Average
) -> dict[str, LayerShard]:
    """The averages over the ranks of every task's gradients.

    Args:
        leaves: by parameter name; of layers with the same settings, in the same order, on every rank.
        factors: on this rank's gradients of each task, `[T]`.
        average: over the ranks.
    """
    if not leaves:
        return {}
    parts = {name: leaf.parts() for name, leaf in leaves.items()}
    of_all = iter(_exchanged([part for these in parts.values() for part in these], factors / average.size, average))
    shards: dict[str, LayerShard] = {}
    for name, leaf in leaves.items():
        part = leaf.of_parts([next(of_all) for _ in parts[name]])
        shards[name] = LayerShard(part, parts[name][0][1].shape[-1], leaf.output_axis)
    return shards


def whole(shards: Mapping[str, LayerShard], weights: Tensor, average: Average) -> dict[str, Tensor]:
    """The update direction `sum_i w_i g_i` by parameter name, the same on every rank."""
    names, parts = [*shards], [shard.combine(weights) for shard in shards.values()]
    direction: dict[str, Tensor] = {}
    for same in _by_kind(parts):
        gathered = average.gather(torch.cat([parts[i].flatten() for i in same])).view(average.size, -1)
        for i, flat in zip(same, gathered.split([parts[i].numel() for i in same], 1), strict=True):
            direction[names[i]] = shards[names[i]].whole(flat.view(-1, *parts[i].shape).unbind())
    return direction


def _exchanged(
    parts: Sequence[tuple[Tensor, Tensor]], factors: Tensor, average: Average
) -> Iterator[tuple[Tensor, Tensor]]:
    """Of each part the inputs of all ranks, and the gradients at this rank's outputs, times the factors."""
    R = average.size
    everyone = average.everyone([size for x, delta in parts for size in (len(x), delta.shape[1])], factors.device)
    sent: list[_Sent] = []
    for i, (x, delta) in enumerate(parts):
        samples, rows = ([numbers[2 * i + of] for numbers in everyone] for of in (0, 1))
        sent.append(_Sent([x] * R, [(number, *x.shape[1:]) for number in samples]))
        length = math.ceil(delta.shape[-1] / R)
        columns = pad(delta * by_task(factors, delta), (0, R * length - delta.shape[-1])).split(length, -1)
        sent.append(_Sent(columns, [(len(delta), number, length) for number in rows]))
    received: list[list[Tensor]] = [[] for _ in sent]
    for same in _by_kind([one.to[0] for one in sent]):
        messages = [torch.cat([sent[i].to[rank].flatten() for i in same]) for rank in range(R)]
        lengths = [[math.prod(sent[i].shapes[rank]) for i in same] for rank in range(R)]
        for rank, message in enumerate(average.exchange(messages, [sum(of_rank) for of_rank in lengths])):
            for i, flat in zip(same, message.split(lengths[rank]), strict=True):
                received[i].append(flat.view(*sent[i].shapes[rank]))
    for inputs, deltas in zip(received[::2], received[1::2], strict=True):
        yield torch.cat(inputs), torch.cat(deltas, 1)


def _by_kind(tensors: Sequence[Tensor]) -> list[list[int]]:
    """The places of tensors that are of one dtype and device."""
    kinds: dict[tuple[torch.dtype, torch.device], list[int]] = {}
    for place, x in enumerate(tensors):
        kinds.setdefault((x.dtype, x.device), []).append(place)
    return [*kinds.values()]
