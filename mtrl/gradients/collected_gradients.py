"""Per-task gradients that are collected once and aggregated as one likes: by groups, over parts of a batch.

Axes: `T` tasks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.amp import GradScaler

from mtrl.aggregation import CoordinateMethod, GradientMethod, Method
from mtrl.aggregation.gradient_method import check_method
from mtrl.aggregation.method import check_positive
from mtrl.gradients.accumulation import accumulate
from mtrl.gradients.autocast import outside_autocast
from mtrl.gradients.average import Average
from mtrl.gradients.compared import Compared, compared
from mtrl.gradients.finite import check_gradients
from mtrl.gradients.leaves import TaskGradients
from mtrl.gradients.loss_graph import LossGraph, at_parameters, loss_graph
from mtrl.gradients.losses import read_losses
from mtrl.gradients.own_rows import OwnRows
from mtrl.gradients.parameters import Trainable, trained
from mtrl.gradients.ranks import agreed, alike
from mtrl.gradients.shared_inputs import SharedInputs
from mtrl.gradients.step import Made, begun, certified, lengthened
from mtrl.gradients.update_length import Scale, check_length

Plan = tuple[TaskGradients, TaskGradients, tuple[list[int], int]]


@dataclass(frozen=True, eq=False)
class CollectedGradients:
    """Gradients of every task by the shared parameters. Of parts of a batch they add up: `a + b`."""

    parameters: Mapping[str, Tensor]
    reached: Mapping[str, bool]
    """Whether a loss depends on a parameter, by its name; with ranks, on any of them."""
    gradients: TaskGradients
    """The gradients divided by `unit`, task by task; with ranks, this one's."""
    unit: Tensor
    """`[T]`, float64."""
    common: Tensor
    """`[T]`, float64, about as large, and the same on every rank; `unit` without ranks."""
    losses: Tensor
    """`[T]`, float64; with ranks, their means."""
    dtype: torch.dtype
    """Of the weights."""
    sparse: Mapping[str, bool]
    """Whether a parameter's gradient is to be a sparse tensor, by its name."""
    factor: Tensor
    """The scaler's, on what goes to `.grad`."""
    average: Average | None
    """Over ranks, taken when a method is applied."""
    check: bool
    """Whether to look if a method was solved and the ranks agree."""
    versions: Sequence[int]
    """Of the layers' inputs, which the gradients are made of when they are read."""

    @outside_autocast()
    def gram(self, group: Trainable | None = None) -> Tensor:
        """Inner products of the tasks' gradients by the parameters of a group, None for all; `[T, T]`, float64.

        With ranks, of the averages, the same on every rank; all of them need to ask.
        """
        part = self._of(group)
        self._check_inputs()
        return self._compared(part, parted=True).gram

    @outside_autocast()
    def apply(
        self,
        method: Method | CoordinateMethod,
        group: Trainable | None = None,
        *,
        compared_at: Trainable | None = None,
        tasks: Sequence[str] | None = None,
        scale: Scale = None,
        max_norm: float | None = None,
    ) -> Tensor:
        """Adds the aggregated gradient of some parameters to their `.grad`.

        Args:
            method: its state moves on by one call.
            group: shared parameters, or modules of them; None for all. Groups that are each applied once may have a
                method each.
            compared_at: the parameters whose Gram matrix the method is given; None for those of the group.
            tasks: see `backward`.
            scale: the length of the group's update, see there.
            max_norm: its greatest length, see there.

        Returns:
            Weights of the tasks, `[T]`: the update is `sum_i w_i g_i`; NaN from a coordinate-wise rule, which has none.

        Raises:
            TypeError: a method's name or class in place of a method, or a group that is none.
            ValueError: a parameter is not among the shared ones, a loss is not positive though the method needs that,
                the method was not solved, the ranks apply others or to others, one that reads the gradients is to
                compare them elsewhere, or an input of a layer has changed.
        """
        check_method(method)
        parted = not isinstance(method, GradientMethod)

        def plan() -> Plan:
            if compared_at is not None and not parted:
                raise ValueError(f"{method} reads the gradients themselves: compared_at needs to be None")
            check_length(scale, max_norm)
            self._check_inputs()
            places = method.places(tasks, len(self.losses))
            return self._of(group), self._of(group if compared_at is None else compared_at), places

        def said(made: Plan) -> str:
            return f"{method} for the shared parameters {[*made[0].leaves]}, compared at {[*made[1].leaves]}"

        part, at, places = plan() if self.average is None else alike(plan, said, self.average, self.check)
        if self.check:
            check_positive(method, self.losses)
        if not parted:  # which uses up what it is given
            part = TaskGradients({name: leaf.clone() for name, leaf in part.whole().items()})
        there = self._compared(part, parted)
        if compared_at is not None:
            there = there._replace(gram=self._compared(at, parted).gram)
        if self.check:
            check_gradients(there.gram.diagonal(), range(len(self.losses)))
        mean = torch.full_like(self.losses, 1 / len(self.losses)) * self.factor
        of_mean = there.combine(mean) if scale == "mean" else []
        with method.of_tasks(*places), certified(method, self.check):
            weights, direction = there.direction(method, self.losses, self.factor)
        method.learn(tasks)
        parameters = [self.parameters[name] for name in part.leaves]
        sparse, reached = ([known[name] for name in part.leaves] for known in (self.sparse, self.reached))
        of_shared, plain = (at_parameters(x, parameters, sparse, reached) for x in (direction, of_mean))
        taken = lengthened(Made(weights, of_shared, [], plain or None, []), self.factor, scale, max_norm)
        accumulate(parameters, taken.of_shared)
        return taken.weights.to(self.dtype)

    def __add__(self, other: CollectedGradients) -> CollectedGradients:
        """The gradients of the sums of two losses per task: of two parts of a batch, say.

        Raises:
            ValueError: they are by other parameters or of other tasks, or an input of a layer has changed.
        """
        mine, others = ([*map(id, found.parameters.values())] for found in (self, other))
        if mine != others or len(self.losses) != len(other.losses):
            raise ValueError(
                "gradients that are added up need the same shared parameters, in the same order, and as many tasks, "
                f"got {len(mine)} and {len(others)} parameters, {len(self.losses)} and {len(other.losses)} tasks"
            )
        self._check_inputs()
        other._check_inputs()
        unit = torch.maximum(self.unit, other.unit)
        gradients = self.gradients.scaled(self.unit / unit) + other.gradients.scaled(other.unit / unit)
        return replace(
            self,
            reached={name: here or other.reached[name] for name, here in self.reached.items()},
            gradients=gradients,
            unit=unit,
            common=torch.maximum(self.common, other.common),
            losses=self.losses + other.losses,
            sparse={name: here or other.sparse[name] for name, here in self.sparse.items()},
            versions=_versions(gradients),
        )

    def _check_inputs(self) -> None:
        if _versions(self.gradients) != self.versions:
            raise ValueError(
                "an input of a layer was changed in place after collect, which the gradients are still to be made of: "
                "give each batch memory of its own, or apply before"
            )

    def _compared(self, part: TaskGradients, parted: bool) -> Compared:
        return compared(part, self.unit, self.common, self.average, parted)

    def _of(self, group: Trainable | None) -> TaskGradients:
        if group is None:
            return self.gradients
        names = {id(x): name for name, x in self.parameters.items()}
        wanted = trained("group", group)
        unknown = sum(id(x) not in names for x in wanted)
        if unknown or not wanted:
            raise ValueError(f"group needs shared parameters that were collected, got {unknown or 'no'} others")
        return TaskGradients({names[id(x)]: self.gradients.leaves[names[id(x)]] for x in wanted})


def _versions(gradients: TaskGradients) -> list[int]:
    by_rows = [leaf for leaf in gradients.leaves.values() if isinstance(leaf, SharedInputs | OwnRows)]
    return [use.version for leaf in by_rows for use in leaf.uses]


@outside_autocast()
def collect(
    losses: Tensor | Sequence[Tensor],
    shared: Trainable,
    *,
    heads: Trainable | None = None,
    chunk_size: int = 1,
    scaler: GradScaler | None = None,
    average: Average | None = None,
    retain_graph: bool = False,
    check: bool = True,
) -> CollectedGradients:
    """Gradients of every task, for one method or several; the heads' plain ones are added to their `.grad` at once.

        collected = collect(losses, model.trunk)
        collected.apply(NashMTL(), model.trunk.encoder)
        collected.apply(PCGrad(), model.trunk.decoder)

    Of a batch that comes in parts, with weights of the whole: add up `collect([loss / parts for loss in losses], ...)`,
    then `apply` once. Gradients stay factors where they can (`layer_plan`): parts add rows, not copies of the weights,
    so that each part needs memory of its own until then.

    Over ranks, each keeps the gradients of its own rows, and `apply` averages those of its group: once, however many
    parts were added up. All ranks then apply the same methods to the same groups, in the same order.

    Args:
        losses: one per task, of one autograd graph: `[T]`, or `T` scalars.
        shared: parameters whose gradients are aggregated, a module that has them, or several modules.
        heads: parameters of single tasks; None for all that the losses reach, the shared ones aside.
        chunk_size: see `loss_gradients`.
        scaler: for float16, see `backward`; for parts of a batch, of one step.
        average: over ranks that each hold a part of the batch, see `backward`.
        retain_graph: whether the graph is needed again.
        check: look for losses and gradients that are not finite, and whether methods are solved.

    Raises:
        TypeError: losses or parameters that are none.
        ValueError: a loss or a gradient is not finite, and the other misuses that the message names. No `.grad` has
            changed then.
    """

    def plan() -> tuple[LossGraph, list[int], int]:
        given = read_losses(losses, None, check)
        if not all(given.present):
            raise ValueError("collect needs a loss of every task, got None among them")
        graph = loss_graph(given, shared, heads, average=average, again=retain_graph)
        return graph, [*range(len(given.roots))], len(given.roots)

    graph, _, _ = plan() if average is None else agreed(plan, None, average, check)
    values, factor, check = begun(graph, scaler, check)
    found = graph.collect(chunk_size, factor, graph.heads, retain_graph, factored=True, watch=check)
    if check:
        check_gradients(found.sizes, graph.losses.numbers, graph.losses.vector)
    accumulate(graph.heads, found.of_heads)
    parameters = {str(i): x for i, x in enumerate(graph.shared)}
    return CollectedGradients(
        parameters,
        reached=dict(zip(parameters, graph.reached, strict=False)),
        gradients=found.gradients,
        unit=found.unit,
        common=found.common,
        losses=values,
        dtype=graph.losses.values.dtype,
        sparse=dict(zip(parameters, found.sparse, strict=True)),
        factor=factor,
        average=average,
        check=check,
        versions=_versions(found.gradients),
    )
