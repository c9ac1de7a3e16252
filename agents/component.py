"""Critic or actor, and how it moves: the gradients of every task, aggregated into one step.

Axes: `S` replicas (seeds side by side), `T` tasks, `B` batch per task, `P` parameters.
"""

from __future__ import annotations  # evaluated annotations of inner functions break compiled graphs

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.func import vmap

from mtrl import aggregation
from mtrl.agents.config import Config
from mtrl.agents.metrics import ComponentMetrics, Conflict
from mtrl.agents.networks import Layout, NetworkParameters
from mtrl.aggregation import CoordinateMethod, LinearScalarization, LossMethod, Method
from mtrl.gradients import TaskGradients, linear_task_gradients
from mtrl.runs.loading import check_like

Function = Callable[..., Any]


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


class Step(NamedTuple):
    """Measurements of a step, and what its loss told."""

    metrics: ComponentMetrics
    told: Tensor
    """`[S, T]`: mean values of a critic, entropies of an actor."""


class Component:
    """The critics or the actors of all replicas, with their optimizer and their aggregation method.

    Args:
        name: of the component.
        loss: of one replica: `loss(tape, shared, own, frozen, *data) -> (losses [T], told [T])`; of `SoftActorCritic`.
        layouts: of the parameters, and of each network that the loss reads and does not move.
        vector: the parameters, `[S, P]`; moved in place.
        config: of the run.
        num_tasks: `T`.
        compile: makes a faster version of a function; may return it as it is.
    """

    def __init__(
        self,
        name: Literal["critic", "actor"],
        loss: Callable[..., tuple[Tensor, Tensor]],
        layouts: Sequence[Layout],
        vector: Tensor,
        config: Config,
        num_tasks: int,
        compile: Callable[[Function], Function],
    ) -> None:
        self.loss, self.layouts, self.vector = loss, tuple(layouts), vector
        self.method = _method(config, name).to(vector.device)
        self.max_grad_norm = config.agent.max_grad_norm
        self.update_every, self.conflict_every = config.method.update_every, config.training.conflict_every_updates
        self.parameters = self.layouts[0].views(vector)
        rate, decay = config.agent.learning_rate, config.agent.weight_decay
        self.optimizer = torch.optim.AdamW([vector], rate, weight_decay=decay, fused=True)
        self.last: Step | None = None
        self.conflict = Conflict.none(len(vector), num_tasks, vector.device)
        self.compiled_direction, self.compiled_losses = compile(self.direction), compile(self.losses)

    def restore(self, conflict: Sequence[Tensor], last: Sequence[Any] | None) -> None:
        """Takes up what was measured before: the conflicts so far, and the last step, None if there was none.

        Raises:
            ValueError: something has another shape, or is of another kind.
        """
        check_like("conflicts", self.conflict, conflict)
        self.conflict = Conflict(*conflict)
        self.last = None
        if last is not None:
            (loss, weights, its_conflict), told = last
            of_tasks = self.conflict.gradient_norm  # [S, T], as each of them is
            check_like("the last step", [of_tasks] * 3 + [*self.conflict], [loss, weights, told, *its_conflict])
            self.last = Step(ComponentMetrics(loss, weights, Conflict(*its_conflict)), told)

    def step(self, frozen: Sequence[Tensor], data: Sequence[Any], count: int) -> Step:
        """Moves the parameters by one batch.

        Args:
            frozen: vectors `[S, P]` of the networks that the loss reads.
            data: trees of tensors `[S, T, ...]`; the last one is noise, `[S, T, B, ...]`.
            count: of the steps before.
        """
        weights = None if self.last is None or count % self.update_every == 0 else self.last.metrics.weights
        asks = weights is None
        measured = count % self.conflict_every == 0
        unasked = measured and (not asks or isinstance(self.method, LossMethod | CoordinateMethod))
        # The first step gives the method's state its shapes: compiled before, all would be compiled twice. And a Gram
        # matrix for its own sake is rare, and another function to compile.
        direction = self.direction if unasked or count == 0 else self.compiled_direction
        found, told = direction(self.vector, frozen, data, weights, unasked)
        if measured and found.gram is not None:
            self.conflict = self.conflict.add(found.gram)
        self.vector.grad = found.gradient
        self.optimizer.step()
        self.vector.grad = None  # its memory is the next step's, still in the cache
        if asks and self.method.needs_update:
            losses = self.compiled_losses if count else self.losses
            self.method.update(losses(self.vector, frozen, data))
        self.last = Step(ComponentMetrics(found.losses, found.weights, self.conflict), told)
        return self.last

    def direction(
        self, vector: Tensor, frozen: Sequence[Tensor], data: Sequence[Any], weights: Tensor | None, measure: bool
    ) -> tuple[Direction, Tensor]:
        """The direction of a step, and what the loss tells, `[S, T]`.

        Args:
            vector: the parameters, `[S, P]`.
            frozen: see `step`.
            data: see `step`.
            weights: `[S, T]`, of an earlier step, to be used once more; None for new ones.
            measure: give the Gram matrix even where nothing else needs it.
        """
        num_tasks, num_rows = data[-1].shape[1:3]

        def of_one_replica(moved: NetworkParameters, *given: Any) -> Any:
            gradients, *rest = linear_task_gradients(self.loss, *moved, *given, num_tasks=num_tasks, num_rows=num_rows)
            return gradients.leaves, *rest

        # Gradients of shared parameters [S, T, ...], or factors of them; of own ones [S, T, ...] or [S, 2, T, ...].
        leaves, own, losses, told = vmap(of_one_replica)(*self._networks(vector, frozen, num_tasks), *data)
        gradients, gram = TaskGradients(leaves, leading=1), None
        if weights is None:
            shared, weights, gram = gradients.aggregate(self.method, losses)
        else:
            shared = gradients.combine(weights)
        if measure and gram is None:
            gram = gradients.gram()
        gradient = self.layouts[0].flatten(NetworkParameters(shared, own), leading=1)  # [S, P]
        if self.max_grad_norm is not None:
            norm = gradient.norm(dim=-1, keepdim=True)  # [S, 1]
            gradient = gradient * (self.max_grad_norm / norm.clamp(min=1e-12)).clamp(max=1)
        return Direction(gradient, losses, weights, gram), told

    @torch.no_grad()
    def losses(self, vector: Tensor, frozen: Sequence[Tensor], data: Sequence[Any]) -> Tensor:
        """`[S, T]`; arguments as for `direction`."""
        moved, fixed = self._networks(vector, frozen, data[-1].shape[1])

        def of_one_replica(moved: NetworkParameters, *given: Any) -> Tensor:
            return self.loss({}, *moved, *given)[0]

        losses: Tensor = vmap(of_one_replica)(moved.of_tasks(data[-1].shape[1]), fixed, *data)
        return losses

    def forget_conflicts(self) -> None:
        """Sums anew what is measured of the gradients' conflicts."""
        self.conflict = Conflict(*map(torch.zeros_like, self.conflict))

    @property
    def residual(self) -> Tensor:
        """The largest residual of the method so far, `[S]`, of all replicas together; 0 from a coordinate-wise rule."""
        if isinstance(self.method, CoordinateMethod):
            return torch.zeros(len(self.vector), device=self.vector.device)
        return self.method.worst_residual.to(self.vector.device, copy=True).expand(len(self.vector))

    def _networks(
        self, vector: Tensor, frozen: Sequence[Tensor], num_tasks: int
    ) -> tuple[NetworkParameters, list[NetworkParameters]]:
        moved, *rest = (layout.views(flat) for layout, flat in zip(self.layouts, (vector, *frozen), strict=True))
        return moved, [network.of_tasks(num_tasks) for network in rest]


def _method(config: Config, name: str) -> Method | CoordinateMethod:
    """The component's method.

    It is the mean for one that is not to be aggregated, and for an actor under a method that needs positive losses, as
    in FAMO's published agent.
    """
    method = aggregation.make(config.method.name, **config.method.arguments)
    positive = name == "actor" and method.positive_losses
    return method if config.agent.aggregated in (name, "both") and not positive else LinearScalarization()
