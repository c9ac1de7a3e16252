"""The direction of a step of critic or actor, where each of several processes has the batches of its own tasks.

The ranks exchange the tasks' gradients so that each has an equal part of the entries of all, `[T / R, P]` to
`[T, P / R]`, add up the Gram matrices of the parts, combine the parts and exchange what comes of it. Whatever is the
same for all is computed from the same numbers in the same order: every rank takes the same step, bit for bit.

Axes: `S` replicas (seeds side by side), `T` tasks, `B` batch per task, `P` parameters, `R` ranks, `C` entries of a
part.
"""

from __future__ import annotations  # evaluated annotations of inner functions break compiled graphs

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from mtrl.agents.direction import AnyMethod, Direction, Function, clipped, task_gradients, task_losses
from mtrl.agents.networks import Layout, NetworkParameters
from mtrl.agents.ranks import Ranks
from mtrl.aggregation import CoordinateMethod, GradientMethod, LossMethod
from mtrl.gradients import TaskGradients
from mtrl.gradients.shards import in_equal_parts, in_rows


class RankDirections:
    """The directions that `TaskDirections` makes of all tasks, up to the rounding of sums in another order.

    Methods take the same arguments and give the same, but that the first of `data` is of this rank's own tasks alone,
    `[S, own tasks, B, ...]`.

    Args:
        ranks: that train together.
        num_tasks: `T`, of all ranks.
        loss: as for `TaskDirections`, like what follows.
        layouts: likewise, of the networks of all tasks.
        method: likewise; its state is the same on every rank.
        max_grad_norm: likewise.
        compile: likewise; it is given what is computed between two exchanges.
    """

    def __init__(
        self,
        ranks: Ranks,
        num_tasks: int,
        loss: Callable[..., tuple[Tensor, Tensor]],
        layouts: Sequence[Layout],
        method: AnyMethod,
        max_grad_norm: float | None,
        compile: Callable[[Function], Function],
    ) -> None:
        self.ranks, self.num_tasks, self.own = ranks, num_tasks, ranks.own(num_tasks)
        self.loss, self.layouts, self.method, self.max_grad_norm = loss, tuple(layouts), method, max_grad_norm
        self._compiled = compile(self._collect), compile(self._weigh), compile(self._own_losses)

    def direction(
        self, vector: Tensor, frozen: Sequence[Tensor], data: Sequence[Any], weights: Tensor | None, measure: bool
    ) -> tuple[Direction, Tensor]:
        """See `TaskDirections.direction`."""
        return self._direction(self._collect, self._weigh, vector, frozen, data, weights, measure)

    def compiled_direction(
        self, vector: Tensor, frozen: Sequence[Tensor], data: Sequence[Any], weights: Tensor | None, measure: bool
    ) -> tuple[Direction, Tensor]:
        """See `TaskDirections.direction`."""
        return self._direction(*self._compiled[:2], vector, frozen, data, weights, measure)

    def losses(self, vector: Tensor, frozen: Sequence[Tensor], data: Sequence[Any]) -> Tensor:
        """See `TaskDirections.losses`."""
        return self._gathered(self._own_losses(vector, frozen, data))

    def compiled_losses(self, vector: Tensor, frozen: Sequence[Tensor], data: Sequence[Any]) -> Tensor:
        """See `TaskDirections.losses`."""
        return self._gathered(self._compiled[2](vector, frozen, data))

    def _direction(
        self,
        collect: Function,
        weigh: Function,
        vector: Tensor,
        frozen: Sequence[Tensor],
        data: Sequence[Any],
        weights: Tensor | None,
        measure: bool,
    ) -> tuple[Direction, Tensor]:
        gradients, of_tasks = collect(vector, frozen, data)
        told = self.ranks.gather(of_tasks, self.num_tasks)  # [S, T, 2 + own parameters of a task]
        losses, values, own = told[..., 0].contiguous(), told[..., 1].contiguous(), told[..., 2:]
        part = self.ranks.exchange(gradients, self.num_tasks)  # [S, T, C]
        asks, by_gram = weights is None, not isinstance(self.method, LossMethod | CoordinateMethod)
        gram = self._gram(part) if measure or (asks and by_gram) else None
        if asks and isinstance(self.method, GradientMethod):
            shared, weights = self._of_gradients(part, losses)
        else:
            weights = weigh(gram if by_gram else None, losses) if weights is None else weights
            combined = TaskGradients({"part": part}, leading=1).combine(weights)["part"]
            shared = self._whole(combined[:, None])[:, 0]
        gradient = torch.cat([shared, *self.layouts[0].own_parts(own)], -1)  # [S, P]
        return Direction(clipped(gradient, self.max_grad_norm), losses, weights, gram), values

    def _collect(self, vector: Tensor, frozen: Sequence[Tensor], data: Sequence[Any]) -> tuple[Tensor, Tensor]:
        """Of own tasks: gradients of shared parameters, `[S, own tasks, R C]`; losses, what is told, own gradients."""
        leaves, own, losses, told = task_gradients(self.loss, *self._networks(vector, frozen), self._own_data(data))
        whole = TaskGradients(leaves, leading=1).whole()
        rows = torch.cat([leaf.flatten(2) for leaf in whole.values()], -1)
        of_tasks = torch.cat([losses[..., None], told[..., None], *self.layouts[0].own_rows(own)], -1)
        return in_equal_parts(rows, self.ranks.size), of_tasks

    def _weigh(self, gram: Tensor | None, losses: Tensor) -> Tensor:
        weights: Tensor = self.method(gram, losses)
        return weights

    @torch.no_grad()
    def _own_losses(self, vector: Tensor, frozen: Sequence[Tensor], data: Sequence[Any]) -> Tensor:
        return task_losses(self.loss, *self._networks(vector, frozen), self._own_data(data))

    def _gathered(self, losses: Tensor) -> Tensor:
        """`[S, T]` of own `[S, own tasks]`."""
        return self.ranks.gather(losses[..., None], self.num_tasks)[..., 0]

    def _gram(self, part: Tensor) -> Tensor:
        """Inner products of the tasks' whole gradients, `[S, T, T]`, the same on every rank."""
        own = TaskGradients({"part": in_rows(part)}, leading=1).gram()
        return self.ranks.all(own.double()).sum(0).to(own.dtype)

    def _of_gradients(self, part: Tensor, losses: Tensor) -> tuple[Tensor, Tensor]:
        """The direction `[S, P]` of the shared parameters by a rule that reads the gradients, and weights `[S, T]`."""
        leaves = self.layouts[0].shared_views(self._whole(part))
        assert isinstance(self.method, GradientMethod)
        direction, weights = self.method.direction(TaskGradients(leaves, leading=1), losses)
        return torch.cat([direction[name].flatten(1) for name in leaves], -1), weights

    def _whole(self, part: Tensor) -> Tensor:
        """The ranks' parts `[S, N, C]` one after the other, without what fills up the last: `[S, N, P]`."""
        whole = self.ranks.all(part).permute(1, 2, 0, 3).flatten(2)
        return whole[..., : self.layouts[0].num_shared]

    def _own_data(self, data: Sequence[Any]) -> Sequence[Any]:
        batch, *rest = data
        return (batch, *(of_all[:, self.own] for of_all in rest))

    def _networks(self, vector: Tensor, frozen: Sequence[Tensor]) -> tuple[NetworkParameters, list[NetworkParameters]]:
        """The networks of own tasks."""
        flat = zip(self.layouts, (vector, *frozen), strict=True)
        moved, *rest = (layout.views(vector, self.own) for layout, vector in flat)
        return moved, [network.of_tasks(self.own.stop - self.own.start) for network in rest]
