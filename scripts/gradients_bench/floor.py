"""The least that a step with per-task gradients can cost, in multiplications, beside a plain step.

Axes: `T` tasks; a layer has `N` rows, `I` inputs and `O` outputs.

Of a layer, the forward pass, the gradient by its inputs and that by its weight take `N I O` multiplications each. A
plain step has each once. With per-task gradients there is one forward pass and `T` gradients by the inputs; the Gram
matrix takes a gradient by the weight of each task, `T N I O`, or through the rows `T N^2 O` and one gradient by the
weight, of the weighted sum, `N I O`: whichever is less. Left out: what is neither a linear layer nor a convolution, the
inner products themselves, the heads.
"""

import math
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn


def floor(trunk: nn.Module, batch: Tensor, tasks: int) -> float:
    """The least that all tasks' gradients can cost, in plain steps."""
    plain = least = 0
    for rows, inputs, outputs, differentiated in layers(trunk, batch):
        product = rows * inputs * outputs
        plain += product * (2 + differentiated)
        by_rows = tasks * rows * rows * outputs + product
        least += product * (1 + tasks * differentiated) + min(tasks * product, by_rows)
    return least / plain


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
