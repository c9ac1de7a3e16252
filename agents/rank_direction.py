"""The direction of a step of critic or actor, where each of several processes has the batches of its own tasks.

Each rank combines the gradients of its own tasks, and the ranks add these up. A Gram matrix needs more: where a layer's
gradients are kept as factors, the ranks tell each other their rows, and each has the products of its own tasks with
all; of other gradients each has an equal part of the entries of all, `[T / R, P]` to `[T, P / R]`, and the ranks add up
the Gram matrices of the parts. Whatever is the same for all is computed from the same numbers in the same order: every
rank takes the same step, bit for bit.

Axes: `S` replicas (seeds side by side), `T` tasks, `B` batch per task, `P` parameters, `R` ranks, `C` entries of a
part.
"""

from __future__ import annotations  # evaluated annotations of inner functions break compiled graphs

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mtrl.agents.direction import AnyMethod, Direction, Function, clipped, task_gradients, task_losses
from mtrl.agents.networks import Layout, NetworkParameters
from mtrl.agents.ranks import Ranks
from mtrl.aggregation import CoordinateMethod, GradientMethod, LossMethod
from mtrl.gradients import Factors, TaskGradients
from mtrl.gradients.leaves import Leaf
from mtrl.gradients.shards import in_equal_parts, in_rows


class RankDirections:
    """The directions that `TaskDirections` makes of all tasks, up to the rounding of sums in another order.

    Methods take the same arguments and give the same, but that the first of `data` is of this rank's own tasks alone,
    `[S, own tasks, B, ...]`.

    Args:
        ranks: that train together.
        num_tasks: `T`, of all ranks.
        loss: as for `TaskDirections`, like the rest.
        layouts: of the networks of all tasks.
        method: its state is the same on every rank.
        compile: is given what is computed between two exchanges.
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
        asks, by_gram = weights is None, not isinstance(self.method, LossMethod | CoordinateMethod)
        reads = asks and isinstance(self.method, GradientMethod)
        compares = measure or (asks and by_gram)
        by_leaf = compares and not reads  # whoever reads the gradients compares the parts that it is given
        leaves, of_tasks = collect(vector, frozen, data, by_leaf)
        factors = [leaf for leaf in leaves.values() if isinstance(leaf, Factors)] if by_leaf else []
        told, *rows = self._of_all([of_tasks, *(x.movedim(-3, 1) for leaf in factors for x in leaf.wide())])
        losses, values, own = told[..., 0].contiguous(), told[..., 1].contiguous(), told[..., 2:]
        gradients, gram = TaskGradients(leaves, leading=1), None
        if reads:
            part = self._part(gradients.whole().values())
            gram = self._gram_of_parts(part) if compares else None
            shared, weights = self._of_gradients(part, losses)
        else:
            if by_leaf:
                gram = self._gram([leaf for leaf in leaves.values() if isinstance(leaf, Tensor)], factors, rows)
            weights = weigh(gram if by_gram else None, losses) if weights is None else weights
            combined = gradients.combine(weights[:, self.own]).values()
            shared = self.ranks.sum(torch.cat([gradient.flatten(1) for gradient in combined], -1))
        gradient = torch.cat([shared, *self.layouts[0].own_parts(own)], -1)  # [S, P]
        return Direction(clipped(gradient, self.max_grad_norm), losses, weights, gram), values

    def _collect(
        self, vector: Tensor, frozen: Sequence[Tensor], data: Sequence[Any], by_leaf: bool
    ) -> tuple[Mapping[str, Leaf], Tensor]:
        """Gradients of shared parameters by this rank's tasks, kept if `by_leaf`; and a row for each of these tasks.

        The rows: the loss, what the loss tells, and the gradient of the task's own parameters.
        """
        leaves, own, losses, told = task_gradients(self.loss, *self._networks(vector, frozen), self._own_data(data))
        of_tasks = torch.cat([losses[..., None], told[..., None], *self.layouts[0].own_rows(own)], -1)
        return TaskGradients(leaves, leading=1).kept().leaves if by_leaf else leaves, of_tasks

    def _weigh(self, gram: Tensor | None, losses: Tensor) -> Tensor:
        weights: Tensor = self.method(gram, losses)
        return weights

    @torch.no_grad()
    def _own_losses(self, vector: Tensor, frozen: Sequence[Tensor], data: Sequence[Any]) -> Tensor:
        return task_losses(self.loss, *self._networks(vector, frozen), self._own_data(data))

    def _gathered(self, losses: Tensor) -> Tensor:
        """`[S, T]` of own `[S, own tasks]`."""
        return self.ranks.gather(losses[..., None], self.num_tasks)[..., 0]

    def _of_all(self, own: Sequence[Tensor]) -> list[Tensor]:
        """All ranks' tasks of some tensors `[S, own tasks, ...]`, in one message."""
        flat = [x.flatten(2) for x in own]
        whole = self.ranks.gather(torch.cat(flat, -1), self.num_tasks).split([x.shape[-1] for x in flat], -1)
        return [of_all.unflatten(-1, x.shape[2:]) for of_all, x in zip(whole, own, strict=True)]

    def _gram(self, formed: Sequence[Tensor], factors: Sequence[Factors], rows: Sequence[Tensor]) -> Tensor:
        """Inner products of the gradients of all tasks, `[S, T, T]`, the same on every rank.

        Args:
            formed: gradients of own tasks, `[S, own tasks, ...]`.
            factors: the others.
            rows: inputs and deltas of the factors of all tasks, one after the other, `[S, T, ...]`.
        """
        grams = []
        if factors:
            of_all = [Factors(x.movedim(1, -3), d.movedim(1, -3)) for x, d in zip(rows[::2], rows[1::2], strict=True)]
            products = [mine.gram(1, whole) for mine, whole in zip(factors, of_all, strict=True)]
            grams.append(self.ranks.gather(torch.stack(products).sum(0), self.num_tasks))  # of [S, own tasks, T]
        if formed:
            grams.append(self._gram_of_parts(self._part(formed)))
        gram = torch.stack(grams).sum(0)
        return (gram + gram.mT) / 2

    def _gram_of_parts(self, part: Tensor) -> Tensor:
        own = TaskGradients({"part": in_rows(part)}, leading=1).gram()
        return self.ranks.all(own.double()).sum(0).to(own.dtype)

    def _part(self, formed: Iterable[Tensor]) -> Tensor:
        """This rank's part `[S, T, C]` of the entries of all tasks' gradients; of own ones `[S, own tasks, ...]`."""
        rows = torch.cat([leaf.flatten(2) for leaf in formed], -1)
        return self.ranks.exchange(in_equal_parts(rows, self.ranks.size), self.num_tasks)

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
