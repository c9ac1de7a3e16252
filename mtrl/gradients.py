"""Per-task gradients of shared parameters from one backward pass.

Axes: `T` tasks, `B` rows of a task, `I` inputs and `O` outputs of a linear layer.

Task `i`'s loss touches task `i`'s rows only. So one backward pass through all rows already holds, at every linear
layer, what each task's weight gradient is made of: the layer's inputs `x_i [B, I]` and the gradients with respect to
its outputs `d_i [B, O]`; the weight gradient is `x_i^T d_i`. It is formed for the Gram matrix, but the combined
gradient `sum_i w_i x_i^T d_i` is again a single product over all rows: no `T` copies of the parameters are kept in
float32, and none are read twice.

To be differentiated that way, a network calls `linear` for its linear layers; anything else (normalisation gains,
convolutions written out) is differentiated for each task as a whole.
"""

from __future__ import annotations  # evaluated annotations of inner functions break compiled graphs

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.func import grad_and_value, vmap

Parameters = Mapping[str, Tensor]
Tape = dict[str, Tensor]


def linear(parameters: Parameters, name: str, x: Tensor, tape: Tape, dtype: torch.dtype) -> Tensor:
    """A linear layer that leaves its input on the tape.

    Args:
        parameters: holds `<name>.weight [I, O]` and `<name>.bias`, `[1, O]` or (given by `task_gradients`) `[B, O]`.
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


class Factors(NamedTuple):
    """The gradients of a weight matrix for every task, as factors: `inputs_i^T deltas_i`."""

    inputs: Tensor
    """`[T, B, I]`"""
    deltas: Tensor
    """`[T, B, O]`, gradients with respect to the layer's outputs."""


class TaskGradients(NamedTuple):
    """Gradients of every task with respect to the same parameters, leaf by leaf."""

    leaves: dict[str, Tensor | Factors]
    """By parameter name: `[T, *shape]`, or the factors of a weight matrix."""

    def gram(self) -> Tensor:
        """Inner products of the tasks' gradients, `[T, T]`, in the parameters' dtype: its rounding is part of it."""
        return torch.stack([_leaf_gram(leaf) for leaf in self.leaves.values()]).sum(0)

    def combine(self, weights: Tensor) -> dict[str, Tensor]:
        """The update direction `sum_i w_i g_i`.

        Args:
            weights: `[T]`.

        Returns:
            By parameter name, in the shape of the parameter.
        """
        return {name: _leaf_combine(leaf, weights) for name, leaf in self.leaves.items()}


def task_gradients(
    loss: Callable[..., tuple[Tensor, Any]],
    shared: Parameters,
    own: Parameters,
    *arguments: Any,
    num_rows: int,
) -> tuple[TaskGradients, dict[str, Tensor], Tensor, Any]:
    """Gradients of every task's loss on its own data.

    Args:
        loss: the loss of one task: `loss(tape, shared, own, *arguments) -> (scalar, auxiliary tensors)`. It must run
            every layer made by `linear` once, on `num_rows` rows.
        shared: parameters of all tasks; a pair `<name>.weight [I, O]`, `<name>.bias [1, O]` is a `linear` layer.
        own: parameters of one task each, `[T, ...]`.
        arguments: trees of tensors `[T, ...]`.
        num_rows: `B`.

    Returns:
        The gradients of the shared parameters per task; those of the own parameters, `[T, ...]`, each of its own
        task's loss alone; the losses `[T]`; the auxiliary tensors `[T, ...]`.
    """
    num_tasks = next(iter(own.values())).shape[0]
    layers = [name.removesuffix(".weight") for name in shared if name.endswith(".weight")]
    weights = {f"{layer}.weight": shared[f"{layer}.weight"].detach() for layer in layers}
    # A layer's bias, given one copy a row, has the gradient with respect to the layer's output as its gradient.
    repeated = {
        name: value.detach().expand(
            num_tasks, *((num_rows, value.shape[-1]) if name.removesuffix(".bias") in layers else value.shape)
        )
        for name, value in shared.items()
        if name not in weights
    }
    detached = {name: value.detach() for name, value in own.items()}

    def of_one_task(differentiated: tuple[Parameters, Parameters], *data: Any) -> tuple[Tensor, Any]:
        tape: Tape = {}
        value, auxiliary = loss(tape, {**weights, **differentiated[0]}, differentiated[1], *data)
        return value, (tape, auxiliary)

    lifted = vmap(grad_and_value(of_one_task, has_aux=True))
    (by_row, own_gradients), (losses, (tape, auxiliary)) = lifted((repeated, detached), *arguments)

    leaves: dict[str, Tensor | Factors] = {}
    for name in shared:
        layer, _, kind = name.rpartition(".")
        if kind == "weight":
            leaves[name] = Factors(tape[layer], by_row[f"{layer}.bias"])
        elif layer in layers and kind == "bias":
            leaves[name] = by_row[name].sum(1, keepdim=True)
        else:
            leaves[name] = by_row[name]
    return TaskGradients(leaves), own_gradients, losses, auxiliary


def _leaf_gram(leaf: Tensor | Factors) -> Tensor:
    if isinstance(leaf, Factors):
        # In bfloat16 the products are rounded once, and the Gram matrix of the rounded ones is exactly semidefinite.
        leaf = (leaf.inputs.mT @ leaf.deltas.to(leaf.inputs.dtype)).to(leaf.deltas.dtype)
    # A small product per row of the parameter, then their sum: one long product would run on one thread.
    by_row = leaf.reshape(leaf.shape[0], -1, leaf.shape[-1]).transpose(0, 1)
    return (by_row @ by_row.mT).sum(0)


def _leaf_combine(leaf: Tensor | Factors, weights: Tensor) -> Tensor:
    if isinstance(leaf, Factors):
        deltas = leaf.deltas * weights.to(leaf.deltas.dtype)[:, None, None]
        inputs = leaf.inputs.flatten(0, 1)
        return (inputs.mT @ deltas.flatten(0, 1).to(inputs.dtype)).to(deltas.dtype)
    return torch.tensordot(weights.to(leaf.dtype), leaf, 1)
