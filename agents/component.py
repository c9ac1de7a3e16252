"""Critic or actor, and how it moves: the gradients of every task, aggregated into one step.

Axes: `S` replicas (seeds side by side), `T` tasks, `B` batch per task, `P` parameters.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from mtrl.agents.config import Config
from mtrl.agents.direction import AnyMethod, TaskDirections
from mtrl.agents.metrics import ComponentMetrics, Conflict
from mtrl.agents.networks import Layout
from mtrl.agents.rank_direction import RankDirections
from mtrl.aggregation import CoordinateMethod, LinearScalarization, LossMethod
from mtrl.runs.loading import check_like

Directions = TaskDirections | RankDirections


class Step(NamedTuple):
    """Measurements of a step, and what its loss told."""

    metrics: ComponentMetrics
    told: Tensor
    """`[S, T]`: mean values of a critic, entropies of an actor."""


class Component:
    """The critics or the actors of all replicas, with their optimizer and their aggregation method.

    Args:
        name: of the component.
        loss: see `TaskDirections`.
        layouts: likewise.
        vector: the parameters, `[S, P]`; moved in place.
        seeds: `[S]`, of what the method draws for each replica.
        config: of the run.
        num_tasks: `T`.
        directions: makes them from a loss, layouts, a method and the norm that gradients are clipped to.
    """

    def __init__(
        self,
        name: Literal["critic", "actor"],
        loss: Callable[..., tuple[Tensor, Tensor]],
        layouts: Sequence[Layout],
        vector: Tensor,
        seeds: Sequence[int],
        config: Config,
        num_tasks: int,
        directions: Callable[..., Directions],
    ) -> None:
        self.loss, self.layouts, self.vector = loss, tuple(layouts), vector
        self.method = _method(config, name, seeds).to(vector.device)
        self.directions = directions(loss, layouts, self.method, config.agent.max_grad_norm)
        self.update_every, self.conflict_every = config.method.update_every, config.training.conflict_every_updates
        self.parameters = self.layouts[0].views(vector)
        rate, decay = config.agent.learning_rate, config.agent.weight_decay
        self.optimizer = torch.optim.AdamW([vector], rate, weight_decay=decay, fused=True)
        self.last: Step | None = None
        self.conflict = Conflict.none(len(vector), num_tasks, vector.device)

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

    def step(self, frozen: Sequence[Tensor], data: Sequence[Any], count: int, begun: int) -> Step:
        """Moves the parameters by one batch.

        Args:
            frozen: vectors `[S, P]` of the networks that the loss reads.
            data: trees of tensors `[S, T, ...]`; the last one is noise, `[S, T, B, ...]`.
            count: of the steps before.
            begun: how many of these were made before the parameters last began anew.
        """
        asks_again = (count - begun) % self.update_every == 0
        weights = None if self.last is None or asks_again else self.last.metrics.weights
        asks = weights is None
        measured = count % self.conflict_every == 0
        unasked = measured and (not asks or isinstance(self.method, LossMethod | CoordinateMethod))
        # The first step gives the method's state its shapes: compiled before, all would be compiled twice. And a Gram
        # matrix for its own sake is rare, and another function to compile.
        directions = self.directions
        direction = directions.direction if unasked or count == 0 else directions.compiled_direction
        found, told = direction(self.vector, frozen, data, weights, unasked)
        if measured and found.gram is not None:
            self.conflict = self.conflict.add(found.gram)
        self.vector.grad = found.gradient
        self.optimizer.step()
        self.vector.grad = None  # its memory is the next step's, still in the cache
        if asks and self.method.needs_update:
            losses = directions.compiled_losses if count else directions.losses
            self.method.update(losses(self.vector, frozen, data))
        self.last = Step(ComponentMetrics(found.losses, found.weights, self.conflict), told)
        return self.last

    def forget_conflicts(self) -> None:
        """Sums anew what is measured of the gradients' conflicts."""
        self.conflict = Conflict(*map(torch.zeros_like, self.conflict))

    @property
    def residual(self) -> Tensor:
        """The largest residual of the method so far, `[S]`, of all replicas together; 0 from a coordinate-wise rule."""
        if isinstance(self.method, CoordinateMethod):
            return torch.zeros(len(self.vector), device=self.vector.device, dtype=torch.float32)
        return self.method.worst_residual.to(self.vector.device, copy=True).expand(len(self.vector))


def _method(config: Config, name: str, seeds: Sequence[int]) -> AnyMethod:
    """The component's method.

    It is the mean for one that is not to be aggregated, and for an actor under a method that needs positive losses, as
    in FAMO's published agent.
    """
    method = config.method.make_apart(seeds)
    positive = name == "actor" and method.positive_losses
    return method if config.agent.aggregated in (name, "both") and not positive else LinearScalarization()
