"""For which layers' weights ranks exchange rows instead of gradients: an agreement, the same on every rank.

Axes: `T` tasks, `R` ranks; a layer has `N` rows on all ranks together, `I` inputs and `O` outputs.

Averages of the tasks' gradients take `R T I O` numbers to the other ranks. For the same Gram matrix the ranks can
exchange the rows that the gradients are made of: `T N O` numbers at the outputs, of which each rank is given those of
its part of the outputs, and the inputs, which all are given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from zlib import crc32

from torch import Tensor

from mtrl.gradients.average import Average
from mtrl.gradients.layer_nodes import Layer


def exchanged(
    num_tasks: int,
    weights: Mapping[str, Sequence[Layer]],
    others: Mapping[str, str],
    parameters: Mapping[str, Tensor],
    average: Average,
) -> set[str]:
    """Names of the weights whose layers are of one kind on all ranks, and whose rows are fewer numbers to be sent.

    Args:
        num_tasks: with rows on this rank.
        weights: this rank's layers, by the name of the weight; none is empty.
        others: what is to be the same on all ranks of other parameters, whose names are given back then.
        parameters: all, in the same order on every rank.
        average: over the ranks.
    """
    said = {name: str([layer.settings for layer in layers]) for name, layers in weights.items()} | {**others}
    numbers = [num_tasks]
    for name in parameters:
        layers = weights.get(name, ())
        rows, inputs = sum(layer.num_rows for layer in layers), sum(layer.saved().numel() for layer in layers)
        numbers += [crc32(said[name].encode()) if name in said else 0, rows, inputs]
    everyone = average.everyone(numbers, next(iter(parameters.values())).device)
    most_tasks = max(of_rank[0] for of_rank in everyone)
    agreed: set[str] = set()
    for place, name in enumerate(parameters):
        marks, all_rows, all_inputs = ([of_rank[1 + 3 * place + i] for of_rank in everyone] for i in range(3))
        if name not in said or len(set(marks)) > 1:
            continue
        sent = sum(all_rows), sum(all_inputs), average.size
        if name in others or _pays(weights[name], parameters[name], most_tasks, *sent):
            agreed.add(name)
    return agreed


def _pays(layers: Sequence[Layer], parameter: Tensor, num_tasks: int, rows: int, inputs: int, ranks: int) -> bool:
    outputs = parameter.numel() // layers[0].num_inputs
    return num_tasks * rows * outputs + ranks * inputs < ranks * num_tasks * parameter.numel()
