"""Per-task gradients from one backward pass, where each task's loss is of that task's own data.

Axes: `T` tasks, `B` rows of a task, `I` inputs and `O` outputs of a linear layer.

Task `i`'s loss touches task `i`'s rows only. So one backward pass through all rows already holds, at every linear
layer, what each task's weight gradient is made of: the layer's inputs `x_i [B, I]` and the gradients with respect to
its outputs `d_i [B, O]`; the weight gradient is `x_i^T d_i`. The combined gradient `sum_i w_i x_i^T d_i` is again a
single product over all rows, and the Gram matrix is read from the rows or from the products, whichever costs less
(`Factors`): no `T` copies of the parameters are kept where it is not cheaper.

To be differentiated that way, a network calls `linear` for its linear layers, is written for one task and lifted by
`over_tasks`, and `linear_task_gradients` is used. Anything else (convolutions, recurrent cells, whole modules through
`torch.func.functional_call`) goes to `task_gradients`.
"""

from __future__ import annotations  # evaluated annotations of inner functions break compiled graphs

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.func import grad, grad_and_value, vmap

from mtrl.gradients.leaves import Factors, TaskGradients

Parameters = Mapping[str, Tensor]
Tape = dict[str, Tensor]


def linear(parameters: Parameters, name: str, x: Tensor, tape: Tape, dtype: torch.dtype) -> Tensor:
    """A linear layer that leaves its input on the tape.

    Args:
        parameters: holds `<name>.weight [I, O]` and `<name>.bias`, `[1, O]` or (from `linear_task_gradients`) `[B, O]`.
        name: of the layer; used once in a forward pass.
        x: `[B, I]`.
        tape: receives the input under `name`.
        dtype: of the matrix product; the result has the bias's.

    Returns:
        `[B, O]`.
    """
    bias = parameters[f"{name}.bias"]
    tape[name] = x = x.to(dtype)
    return (x @ parameters[f"{name}.weight"].to(dtype)).to(bias.dtype) + bias


def task_gradients(
    loss: Callable[..., tuple[Tensor, Any]],
    shared: Parameters,
    own: Parameters,
    *arguments: Any,
) -> tuple[TaskGradients, dict[str, Tensor], Tensor, Any]:
    """Gradients of every task's loss on its own data, by `vmap` over the tasks.

    Args:
        loss: the loss of one task: `loss(shared, own, *arguments) -> (scalar, auxiliary tensors)`; anything that
            `torch.func.vmap` takes, so no module that updates running statistics.
        shared: parameters of all tasks.
        own: parameters of one task each, `[T, ...]`; may be empty.
        arguments: trees of tensors `[T, ...]`.

    Returns:
        The gradients of the shared parameters per task; those of the own parameters, `[T, ...]`, each of its own
        task's loss alone; the losses `[T]`; the auxiliary tensors `[T, ...]`.
    """

    def of_one_task(differentiated: tuple[Parameters, Parameters], *data: Any) -> tuple[Tensor, Any]:
        return loss(*differentiated, *data)

    # Detached, or every leaf drags the graph that it came from along.
    leaves = {name: value.detach() for name, value in shared.items()}
    mine = {name: value.detach() for name, value in own.items()}
    lifted = vmap(grad_and_value(of_one_task, has_aux=True), in_dims=((None, 0), *(0 for _ in arguments)))
    (gradients, own_gradients), (losses, auxiliary) = lifted((leaves, mine), *arguments)
    return TaskGradients(gradients), own_gradients, losses, auxiliary


def by_task(shared: Parameters, num_tasks: int, num_rows: int | None = None) -> dict[str, Tensor]:
    """Shared parameters as `over_tasks` takes them: a copy for each task of all but the weights of linear layers.

    Args:
        shared: matrices `[*L, R, O]`; `*L` are axes of networks side by side. A pair `<name>.weight [*L, I, O]`,
            `<name>.bias [*L, 1, O]` is a `linear` layer.
        num_tasks: `T`.
        num_rows: `B`, for a copy of such a bias for each row as well; None for one a task.

    Returns:
        By name: weights as they are, `[*L, T, B or R, O]` of the others; views.
    """
    biases = {f"{layer}.bias" for layer in _layers(shared)}

    def copies(name: str, value: Tensor) -> Tensor:
        rows = num_rows if num_rows is not None and name in biases else value.shape[-2]
        return value.unsqueeze(-3).expand(*value.shape[:-2], num_tasks, rows, value.shape[-1])

    return {name: value if name.endswith(".weight") else copies(name, value) for name, value in shared.items()}


def over_tasks(function: Callable[..., Any]) -> Callable[..., Any]:
    """Lifts a function of one task: rows of all tasks go through a linear layer in one product.

    Args:
        function: `function(tape, shared, own, *arguments)`, which leaves its layers' inputs `[B, I]` on the tape.

    Returns:
        The same for all tasks: takes `shared` from `by_task`, every other tensor `[T, ...]`, leaves inputs
        `[T, B, I]` on the tape and returns what is `[T, ...]`.
    """

    def of_all(tape: Tape, shared: Parameters, own: Parameters, *arguments: Any) -> Any:
        weights = {name: value for name, value in shared.items() if name.endswith(".weight")}

        def of_one_task(others: Parameters, own: Parameters, *data: Any) -> tuple[Any, Tape]:
            inputs: Tape = {}
            return function(inputs, {**weights, **others}, own, *data), inputs

        others = {name: value for name, value in shared.items() if name not in weights}
        result, inputs = vmap(of_one_task)(others, own, *arguments)
        tape.update(inputs)
        return result

    return of_all


def linear_task_gradients(
    losses: Callable[..., tuple[Tensor, Any]],
    shared: Parameters,
    own: Parameters,
    *arguments: Any,
    num_tasks: int,
    num_rows: int,
) -> tuple[TaskGradients, dict[str, Tensor], Tensor, Any]:
    """What `task_gradients` gives, at about the cost of a plain backward pass, if linear layers are made by `linear`.

    Args:
        losses: of all tasks, with a tape: `losses(tape, shared, own, *arguments) -> ([T], auxiliary tensors)`, with
            `shared` from `by_task`; for instance the loss of one task through `over_tasks`. A task's loss must depend
            on its own data and its own copies alone, and run every layer made by `linear` once, on `num_rows` rows.
        shared: parameters of all tasks, see `by_task`.
        own: as in `task_gradients`; `[*L, T, ...]` for networks side by side.
        arguments: as in `task_gradients`.
        num_tasks: `T`.
        num_rows: `B`.
    """
    # A layer's bias, given one copy a row, has the gradient with respect to the layer's output as its gradient.
    copies = by_task({name: value.detach() for name, value in shared.items()}, num_tasks, num_rows)
    weights = {name: copies.pop(name) for name in shared if name.endswith(".weight")}
    mine = {name: value.detach() for name, value in own.items()}

    def total(copies: Parameters, own: Parameters, *data: Any) -> tuple[Tensor, Any]:
        tape: Tape = {}
        values, auxiliary = losses(tape, {**weights, **copies}, own, *data)
        return values.sum(), (tape, values, auxiliary)

    (of_copies, of_own), (tape, values, auxiliary) = grad(total, (0, 1), has_aux=True)(copies, mine, *arguments)
    biases = {f"{layer}.bias" for layer in _layers(shared)}
    leaves: dict[str, Tensor | Factors] = {}
    for name in shared:
        if name in weights:
            layer = name.removesuffix(".weight")
            leaves[name] = Factors(tape[layer], of_copies[f"{layer}.bias"])  # [*L, T, B, I], [*L, T, B, O]
        else:
            of_tasks = of_copies[name].sum(-2, keepdim=True) if name in biases else of_copies[name]
            leaves[name] = of_tasks.movedim(-3, 0)  # [T, *L, R, O]
    return TaskGradients(leaves), of_own, values, auxiliary


def _layers(shared: Parameters) -> list[str]:
    return [name.removesuffix(".weight") for name in shared if name.endswith(".weight")]
