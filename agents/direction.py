"""The direction of a step of critic or actor, made of the gradients of every task.

Axes: `S` replicas (seeds side by side), `T` tasks, `B` batch per task, `P` parameters.
"""

from __future__ import annotations  # evaluated annotations of inner functions break compiled graphs

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.func import vmap
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

from mtrl.agents.networks import Layout, NetworkParameters
from mtrl.aggregation import CoordinateMethod, Method
from mtrl.gradients import TaskGradients, linear_task_gradients

Function = Callable[..., Any]
AnyMethod = Method | CoordinateMethod


class Direction(NamedTuple):
    """The gradient that the optimizer is given for one step, and where it comes from."""

    gradient: Tensor
    """`[S, P]`: of the shared parameters the tasks' combined one, of those of a single task its own."""
    losses: Tensor
    """`[S, T]`"""
    weights: Tensor
    """`[S, T]`; NaN from a coordinate-wise rule."""
    gram: Tensor | None
    """`[S, T, T]`, of the tasks' gradients of the shared parameters; None where it was not needed."""


class TaskDirections:
    """Directions of one component, in one process.

    Args:
        loss: of one replica: `loss(tape, shared, own, frozen, *data) -> (losses [T], told [T])`; of `SoftActorCritic`.
        layouts: of the parameters, and of each network that the loss reads and does not move.
        method: makes one direction of the tasks'.
        max_grad_norm: that the gradient is clipped to; None for no clipping.
        compile: makes a faster version of a function; may return it as it is.
    """

    def __init__(
        self,
        loss: Callable[..., tuple[Tensor, Tensor]],
        layouts: Sequence[Layout],
        method: AnyMethod,
        max_grad_norm: float | None,
        compile: Callable[[Function], Function],
    ) -> None:
        self.loss, self.layouts, self.method, self.max_grad_norm = loss, tuple(layouts), method, max_grad_norm
        self.compiled_direction, self.compiled_losses = compile(self.direction), compile(self.losses)

    def direction(
        self, vector: Tensor, frozen: Sequence[Tensor], data: Sequence[Any], weights: Tensor | None, measure: bool
    ) -> tuple[Direction, Tensor]:
        """The direction of a step, and what the loss tells, `[S, T]`.

        Args:
            vector: the parameters, `[S, P]`.
            frozen: vectors `[S, P]` of the networks that the loss reads.
            data: trees of tensors `[S, T, ...]`; the last one is noise, `[S, T, B, ...]`.
            weights: `[S, T]`, of an earlier step, to be used once more; None for new ones.
            measure: give the Gram matrix even where nothing else needs it.
        """
        moved, fixed = self._networks(vector, frozen, data)
        leaves, own, losses, told = task_gradients(self.loss, moved, fixed, data)
        gradients, gram = TaskGradients(leaves, leading=1), None
        if weights is None:
            shared, weights, gram = gradients.aggregate(self.method, losses)
        else:
            shared = gradients.combine(weights)
        if measure and gram is None:
            gram = gradients.gram()
        gradient = self.layouts[0].flatten(NetworkParameters(shared, own), leading=1)  # [S, P]
        return Direction(clipped(gradient, self.max_grad_norm), losses, weights, gram), told

    @torch.no_grad()
    def losses(self, vector: Tensor, frozen: Sequence[Tensor], data: Sequence[Any]) -> Tensor:
        """`[S, T]`; arguments as for `direction`."""
        return task_losses(self.loss, *self._networks(vector, frozen, data), data)

    def _networks(
        self, vector: Tensor, frozen: Sequence[Tensor], data: Sequence[Any]
    ) -> tuple[NetworkParameters, list[NetworkParameters]]:
        moved, *rest = (layout.views(flat) for layout, flat in zip(self.layouts, (vector, *frozen), strict=True))
        return moved, [network.of_tasks(data[-1].shape[1]) for network in rest]


def task_gradients(
    loss: Callable[..., tuple[Tensor, Tensor]],
    moved: NetworkParameters,
    fixed: Sequence[NetworkParameters],
    data: Sequence[Any],
) -> Any:
    """Gradients of shared parameters and of own ones, losses `[S, T]` and what the loss tells, of all replicas.

    Those of shared parameters are `[S, T, ...]`, or factors of them; of own ones `[S, T, ...]` or `[S, 2, T, ...]`.
    """
    num_tasks, num_rows = data[-1].shape[1:3]

    def of_one_replica(moved: NetworkParameters, *given: Any) -> Any:
        gradients, *rest = linear_task_gradients(loss, *moved, *given, num_tasks=num_tasks, num_rows=num_rows)
        return gradients.leaves, *rest

    return over_replicas(of_one_replica)(moved, fixed, *data)


def task_losses(
    loss: Callable[..., tuple[Tensor, Tensor]],
    moved: NetworkParameters,
    fixed: Sequence[NetworkParameters],
    data: Sequence[Any],
) -> Tensor:
    """The tasks' losses of all replicas, `[S, T]`."""

    def of_one_replica(moved: NetworkParameters, *given: Any) -> Tensor:
        return loss({}, *moved, *given)[0]

    losses: Tensor = over_replicas(of_one_replica)(moved.of_tasks(data[-1].shape[1]), fixed, *data)
    return losses


def over_replicas(of_one: Function) -> Function:
    """Lifts a function of one replica's trees of tensors to those of all, `[S, ...]`.

    A single replica's is called as it is: `vmap` takes each tree apart and together again, a quarter of a small update
    that is not compiled, and the compiler would trace all of it.
    """

    def of_all(*trees: Any) -> Any:
        leaves, structure = tree_flatten(trees)
        if len(leaves[0]) > 1:
            return vmap(of_one)(*trees)
        found = of_one(*tree_unflatten([leaf[0] for leaf in leaves], structure))
        return tree_map(lambda t: t.unsqueeze(0), found)

    return of_all


def clipped(gradient: Tensor, max_norm: float | None) -> Tensor:
    """`[S, P]`, no replica's longer than this."""
    if max_norm is None:
        return gradient
    norm = gradient.norm(dim=-1, keepdim=True)  # [S, 1]
    return gradient * (max_norm / norm.clamp(min=1e-12)).clamp(max=1)
