"""The least that a step with per-task gradients can cost, in multiplications, beside a plain step.

Axes: `T` tasks; a layer has `N` rows, `I` inputs and `O` outputs.

Of a layer, the forward pass, the gradient by its inputs and that by its weight take `N I O` multiplications each. A
plain step has each once. With per-task gradients there is one forward pass and `T` gradients by the inputs; the Gram
matrix takes a gradient by the weight of each task, `T N I O`, or through the rows `T N^2 O` and one gradient by the
weight, of the weighted sum, `N I O`: whichever is less. Left out: what is neither a linear layer nor a convolution, the
inner products themselves, the heads.

A plain step takes time for what is left out, too, and products of small matrices are slow: how much time those that are
counted take by themselves is measured (`products`).
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


def floor(trunk: nn.Module, batch: Tensor, tasks: int) -> float:
    """The least that all tasks' gradients can cost, in plain steps."""
    plain = least = 0
    for rows, inputs, outputs, differentiated in layers(trunk, batch):
        product = rows * inputs * outputs
        plain += product * (2 + differentiated)
        gram = tasks * product
        if pays_by_rows(tasks, rows, inputs, outputs):
            gram = tasks * rows * rows * outputs + product
        least += product * (1 + tasks * differentiated) + gram
    return least / plain


def pays_by_rows(tasks: int, rows: int, inputs: int, outputs: int) -> bool:
    """Whether the Gram matrix takes fewer multiplications through the rows."""
    product = rows * inputs * outputs
    return tasks * rows * rows * outputs + product < tasks * product


def products(trunk: nn.Module, batch: Tensor, tasks: int) -> Callable[[], None]:
    """The products that the floor counts, and nothing else: on random matrices, a convolution's as a linear layer's."""
    matrices = []
    for rows, inputs, outputs, differentiated in layers(trunk, batch):
        x, weight = torch.randn(rows, inputs, device=batch.device), torch.randn(inputs, outputs, device=batch.device)
        deltas = torch.randn(tasks, rows, outputs, device=batch.device)
        matrices.append((x, weight, deltas, differentiated, pays_by_rows(tasks, rows, inputs, outputs)))

    def run() -> None:
        for x, weight, deltas, differentiated, by_rows in matrices:
            x @ weight
            for delta in deltas if differentiated else ():
                delta @ weight.mT
            if by_rows:
                (x @ x.mT) @ deltas
            for delta in deltas[:1] if by_rows else deltas:
                x.mT @ delta

    return run


def layers(trunk: nn.Module, batch: Tensor) -> list[tuple[int, int, int, bool]]:
    """Rows, inputs and outputs of each use of a layer, and whether the gradient by its inputs is asked for."""
    found: list[tuple[int, int, int, bool]] = []

    def note(layer: nn.Linear | nn.Conv2d) -> Callable[[nn.Module, Any, Tensor], None]:
        weight = layer.weight
        inputs, outputs = math.prod(weight.shape[1:]), len(weight)

        def hook(_: nn.Module, given: tuple[Tensor], output: Tensor) -> None:
            found.append((output.numel() // outputs, inputs, outputs, given[0].requires_grad))

        return hook

    hooks = [m.register_forward_hook(note(m)) for m in trunk.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    trunk(batch)
    for hook in hooks:
        hook.remove()
    return found
