"""The losses of a step: one per task, some of them perhaps absent, and where their graphs begin.

Axes: `T` tasks.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge, get_gradient_edge

from mtrl.gradients.torch_nodes import MULTIPLY, STACK, is_hooked, kind

LEAST_SCALE = 8
"""A factor of this power of two and more is taken for a `GradScaler`'s."""
TAKEN_APART = "mtrl.gradients: number of losses in a vector"
"""Key of a node's metadata."""


@dataclass(frozen=True)
class Losses:
    """The losses of a step's tasks, in the order that the user gave them."""

    values: Tensor
    """`[T]`, without their graph, in float32 at least; 0 for an absent one."""
    roots: list[GradientEdge | None]
    """Where each loss's part of the graph begins; None for an absent one."""
    dtype: torch.dtype
    """That the losses were computed in."""
    numbers: Sequence[int]
    """Of the tasks among all losses that the user gave, for what is said of one."""
    vector: Tensor | None = None
    """`[all]`, what the user gave, without its graph, if some entries are absent but in the others' passes."""

    @property
    def present(self) -> list[bool]:
        """Whether each task is there."""
        return [root is not None for root in self.roots]

    def of(self, tasks: Sequence[int]) -> Losses:
        """The losses of some of the tasks."""
        places = torch.tensor(tasks, device=self.values.device, dtype=torch.long)
        numbers = [self.numbers[task] for task in tasks]
        return Losses(self.values[places], [self.roots[task] for task in tasks], self.dtype, numbers, self.vector)


def read_losses(
    losses: Tensor | Sequence[Tensor | None], present: Sequence[bool] | Tensor | None = None, check: bool = False
) -> Losses:
    """The losses that a user gives.

    A vector made by `torch.stack` is taken apart again: through the stack, one task's backward pass would run through
    the heads of all the others, with gradients of zero. Not so if it has a hook, which would not be met.

    Args:
        losses: `[T]`, or `T` scalars, None for a task that is absent.
        present: `[T]`, whether a task is there; the losses of the others are not looked at.
        check: refuse losses that look as if a `GradScaler` had scaled them.

    Raises:
        TypeError: these are no losses.
        ValueError: a loss is not a scalar or has no graph, or `present` is not one for each; under inference mode.
    """
    if torch.is_inference_mode_enabled():
        raise ValueError("losses have no gradients under torch.inference_mode(): call outside of it")
    kept = given_losses(losses, present)
    edges = _edges(losses, kept)
    for task, (loss, edge) in enumerate(zip(kept, edges, strict=True)):
        if loss is not None and edge is None:
            raise ValueError(
                f"the loss of task {task} needs a graph, got one that depends on no trained parameter, or was computed "
                "under torch.no_grad(); None stands for a task that is absent"
            )
    if check:
        _check_unscaled([losses] if isinstance(losses, Tensor) else kept)
    tensors = [loss for loss in kept if loss is not None]
    if not tensors:
        return Losses(torch.zeros(len(kept)), edges, torch.float32, range(len(kept)))
    zero = tensors[0].new_zeros(())
    values = torch.stack([(zero if loss is None else loss).detach().reshape(()) for loss in kept])
    dtype = values.dtype
    values = values.float() if dtype.itemsize < 4 else values
    nodes: list[Any] = [edge.node for edge in edges if edge is not None]
    is_whole = any(TAKEN_APART in node.metadata for node in nodes)
    vector = losses.detach() if isinstance(losses, Tensor) and is_whole and len(tensors) < len(kept) else None
    return Losses(values, edges, dtype, range(len(kept)), vector)


def given_losses(
    losses: Tensor | Sequence[Tensor | None], present: Sequence[bool] | Tensor | None
) -> list[Tensor | None]:
    """The losses of the tasks that are there, each of one number, None for the others; see `read_losses`."""
    given = _as_list(losses)
    there = mask(present, len(given))
    kept = [loss if here else None for loss, here in zip(given, there, strict=True)]
    for task, loss in enumerate(kept):
        if loss is not None and not isinstance(loss, Tensor):
            raise TypeError(f"the loss of task {task} needs to be a scalar tensor, got {type(loss).__name__}")
        if loss is not None and loss.numel() != 1:
            raise ValueError(f"the loss of task {task} needs to be a scalar, got the shape {list(loss.shape)}")
        if loss is not None and loss.is_complex():
            raise ValueError(f"the loss of task {task} needs to be a real number, got {loss.dtype}")
    return kept


def _as_list(losses: Tensor | Sequence[Tensor | None]) -> list[Tensor | None]:
    if isinstance(losses, Tensor):
        if losses.ndim != 1 or len(losses) == 0:
            hint = ", one number: the tasks' losses apart are needed, not their sum" if losses.ndim == 0 else ""
            raise ValueError(f"losses need the shape [T] with T >= 1, got {list(losses.shape)}{hint}")
        parts = losses.unbind()
        node: Any = parts[0].grad_fn
        if node is not None:
            node.metadata[TAKEN_APART] = len(parts)
        return list(parts)
    if not isinstance(losses, Sequence) or isinstance(losses, str):
        hint = ": list(losses.values()) is one" if isinstance(losses, Mapping) else ""
        got = f"{type(losses).__name__}{hint}"
        raise TypeError(f"losses need to be a tensor [T] or a sequence of scalar tensors, got {got}")
    if not losses:
        raise ValueError("losses need at least one task, got none")
    return list(losses)


def mask(present: Sequence[bool] | Tensor | None, number: int) -> list[bool]:
    """Whether each of a number of tasks is there.

    Raises:
        ValueError: it is not said for each.
    """
    if present is None:
        return [True] * number
    here = present.tolist() if isinstance(present, Tensor) else present
    if not isinstance(here, Collection) or len(here) != number or not all(value in (False, True) for value in here):
        raise ValueError(f"present needs True or False for each of the {number} tasks, got {present}")
    return [bool(value) for value in here]


def _edges(losses: Tensor | Sequence[Tensor | None], kept: Sequence[Tensor | None]) -> list[GradientEdge | None]:
    stack = losses.grad_fn if isinstance(losses, Tensor) and not losses._backward_hooks else None
    if stack is not None and kind(stack) == STACK and not is_hooked(stack):
        return [
            None if loss is None or node is None else GradientEdge(node, output)
            for loss, (node, output) in zip(kept, stack.next_functions, strict=True)
        ]
    return [None if loss is None or not loss.requires_grad else _edge(loss) for loss in kept]


def _edge(loss: Tensor) -> GradientEdge:
    return get_gradient_edge(loss if loss.ndim == 0 else loss.reshape(()))


def _check_unscaled(losses: Sequence[Tensor | None]) -> None:
    """A method may take the scaler's factor out again, which the scaler's `step` would then divide by."""
    factors = [_factor(loss) for loss in losses if loss is not None]
    first = factors[0] if factors else None
    if first is None or any(factor is None or factor.data_ptr() != first.data_ptr() for factor in factors):
        return
    mantissa, exponent = math.frexp(first.item())
    if mantissa == 0.5 and exponent > LEAST_SCALE:
        raise ValueError(
            f"the losses look as if scaler.scale had multiplied them by {first.item():g}: "
            "give backward the losses as they are, and scaler=scaler"
        )


def _factor(loss: Tensor) -> Tensor | None:
    """The scalar tensor that the loss is a product with, if it is one, as `scaler.scale` makes it."""
    node: Any = loss.grad_fn
    if kind(node) != MULTIPLY:
        return None
    try:
        other = node._saved_other
    except RuntimeError:  # the graph has been freed
        return None
    scalar = isinstance(other, Tensor) and other.ndim == 0 and other.dtype == torch.float32 and other.is_leaf
    return other if scalar and not other.requires_grad else None
