"""Per-task gradients that are collected once and aggregated as one likes: by groups, over parts of a batch.

Axes: `T` tasks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mtrl.aggregation import CoordinateMethod, GradientMethod, Method
from mtrl.aggregation.method import check_finite, check_positive
from mtrl.gradients.accumulation import accumulate
from mtrl.gradients.finite import check_gradients
from mtrl.gradients.leaves import TaskGradients
from mtrl.gradients.loss_graph import like, loss_graph
from mtrl.gradients.losses import read_losses
from mtrl.gradients.parameters import Trainable, trained
from mtrl.gradients.step import certified


@dataclass(frozen=True, eq=False)
class CollectedGradients:
    """Gradients of every task by the shared parameters. Of parts of a batch they add up: `a + b`."""

    parameters: Mapping[str, Tensor]
    reached: Mapping[str, bool]
    """Whether a loss depends on a parameter, by its name."""
    gradients: TaskGradients
    """The gradients divided by `unit`, task by task."""
    unit: Tensor
    """`[T]`, float64."""
    losses: Tensor
    """`[T]`"""
    sparse: Mapping[str, bool]
    """Whether a parameter's gradient is to be a sparse tensor, by its name."""
    check: bool
    """Whether to look if a method was solved."""

    def gram(self, group: Trainable | None = None) -> Tensor:
        """Inner products of the tasks' gradients by the parameters of a group, None for all; `[T, T]`, float64."""
        return self._of(group).gram().double() * self.unit * self.unit[:, None]

    def apply(
        self, method: Method | CoordinateMethod, group: Trainable | None = None, *, compared_at: Trainable | None = None
    ) -> Tensor:
        """Adds the aggregated gradient of some parameters to their `.grad`.

        Args:
            method: its state moves on by one call.
            group: shared parameters, or modules of them; None for all. Groups that are each applied once may have a
                method each.
            compared_at: the parameters whose Gram matrix the method is given; None for those of the group.

        Returns:
            Weights of the tasks, `[T]`: the update is `sum_i w_i g_i`; NaN from a coordinate-wise rule, which has none.

        Raises:
            ValueError: a parameter is not among the shared ones, a loss is not positive though the method needs that,
                the method was not solved, or one that reads the gradients is to compare them elsewhere.
        """
        if compared_at is not None and isinstance(method, GradientMethod):
            raise ValueError(f"{method} reads the gradients themselves: compared_at needs to be None")
        check_positive(method, self.losses)
        part = self._of(group)
        with certified(method, self.check):
            if isinstance(method, GradientMethod):
                direction, weights = method.direction(TaskGradients(part.whole()).scaled(self.unit), self.losses)
            else:
                gram = self.gram(group if compared_at is None else compared_at)
                weights = method(gram, self.losses.double(), torch.finfo(self.losses.dtype).eps)
                direction = part.combine(weights * self.unit)
        gradients = {name: like(x, self.parameters[name]) for name, x in direction.items()}
        gradients = {
            name: x.to_sparse(1) if self.sparse[name] and not x.is_sparse else x for name, x in gradients.items()
        }
        accumulate(
            [self.parameters[name] for name in gradients],
            [gradient if self.reached[name] else None for name, gradient in gradients.items()],
        )
        return weights.to(self.losses.dtype)

    def __add__(self, other: CollectedGradients) -> CollectedGradients:
        """The gradients of the sums of two losses per task: of two parts of a batch, say."""
        unit = torch.maximum(self.unit, other.unit)
        gradients = self.gradients.scaled(self.unit / unit) + other.gradients.scaled(other.unit / unit)
        reached = {name: here or other.reached[name] for name, here in self.reached.items()}
        losses = self.losses + other.losses
        return CollectedGradients(self.parameters, reached, gradients, unit, losses, self.sparse, self.check)

    def _of(self, group: Trainable | None) -> TaskGradients:
        if group is None:
            return self.gradients
        names = {id(x): name for name, x in self.parameters.items()}
        wanted = trained("group", group)
        unknown = sum(id(x) not in names for x in wanted)
        if unknown or not wanted:
            raise ValueError(f"group needs shared parameters that were collected, got {unknown or 'no'} others")
        return TaskGradients({names[id(x)]: self.gradients.leaves[names[id(x)]] for x in wanted})


def collect(
    losses: Tensor | Sequence[Tensor],
    shared: Trainable,
    *,
    heads: Trainable | None = None,
    chunk_size: int = 1,
    retain_graph: bool = False,
    check: bool = True,
) -> CollectedGradients:
    """Gradients of every task, for one method or several; the heads' plain ones are added to their `.grad` at once.

        collected = collect(losses, model.trunk)
        collected.apply(NashMTL(), model.trunk.encoder)
        collected.apply(PCGrad(), model.trunk.decoder)

    Of a batch that comes in parts, with weights of the whole: add up `collect([loss / parts for loss in losses], ...)`,
    then `apply` once. Gradients stay factors where they can (`layer_plan`): parts add rows, not copies of the weights.

    Args:
        losses: one per task, of one autograd graph: `[T]`, or `T` scalars.
        shared: parameters whose gradients are aggregated, a module that has them, or several modules.
        heads: parameters of single tasks; None for all that the losses reach, the shared ones aside.
        chunk_size: see `loss_gradients`.
        retain_graph: whether the graph is needed again.
        check: look for losses and gradients that are not finite, and whether methods are solved.

    Raises:
        TypeError: losses or parameters that are none.
        ValueError: a loss or a gradient is not finite, and the other misuses that the message names. No `.grad` has
            changed then.
    """
    given = read_losses(losses, None, check)
    if not all(given.present):
        raise ValueError("collect needs a loss of every task, got None among them")
    graph = loss_graph(given, shared, heads)
    if check:
        check_finite(None, given.values)
    one = given.values.new_ones((), dtype=torch.float32)
    found = graph.collect(chunk_size, one, graph.heads, retain_graph, parted=True, watch=check)
    assert isinstance(found.gradients, TaskGradients)  # there are no ranks
    if check:
        check_gradients(found.sizes)
    accumulate(graph.heads, found.of_heads)
    parameters = {str(i): x for i, x in enumerate(graph.shared)}
    reached = dict(zip(parameters, graph.reached, strict=False))
    sparse = dict(zip(parameters, found.sparse, strict=True))
    return CollectedGradients(parameters, reached, found.gradients, found.unit, given.values.clone(), sparse, check)
