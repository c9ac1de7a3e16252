"""The autograd graph of the tasks' losses: what is shared in it, what belongs to single tasks, how to differentiate it.

Axes: `T` tasks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.graph import Node, get_gradient_edge

from mtrl.gradients.average import Average
from mtrl.gradients.compared import Compared, compared
from mtrl.gradients.counts import check_count
from mtrl.gradients.finite import Watch
from mtrl.gradients.leaves import TaskGradients
from mtrl.gradients.losses import Losses
from mtrl.gradients.parameters import Trainable, check_whole, trained
from mtrl.gradients.sample_passes import sample_passes
from mtrl.gradients.shared_forward import task_passes, vector_jacobian
from mtrl.gradients.size import power_of_two
from mtrl.gradients.tensor_hooks import without_hooks
from mtrl.gradients.torch_nodes import check_node
from mtrl.gradients.walk import are_apart, check_groups, has_sparse, leaves, reached

Gradients = Sequence[Tensor | None]
"""Gradients by a list of tensors; None where no loss depends on one."""


class Collected(NamedTuple):
    """Per-task gradients of a graph, where they are compared; with ranks, this one's."""

    gradients: TaskGradients
    """The gradients divided by `unit`, task by task."""
    unit: Tensor
    """`[T]`, float64."""
    common: Tensor
    """`[T]`, float64, about as large, and the same on every rank; `unit` without ranks or at features."""
    sparse: list[bool]
    """Whether autograd gives a sparse gradient of the shared tensor."""
    of_heads: Gradients
    """Plain gradients of the heads, of the sum of the losses; with the factor that was asked for, over all ranks."""
    sizes: Tensor
    """`[2, T]`, float64: not finite where a gradient of the task is not; first of what is the task's alone."""


@dataclass(frozen=True)
class LossGraph:
    """Losses, and the tensors that they are to be differentiated by."""

    losses: Losses
    shared: list[Tensor]
    """Parameters of all tasks."""
    heads: list[Tensor]
    """Parameters of single tasks."""
    features: list[Tensor]
    """The representation where the tasks' gradients are compared; empty: at the shared parameters."""
    average: Average | None
    """Takes means over the ranks of a distributed run: of all gradients that this class gives; None for one rank."""
    present: list[bool]
    """Per task, whether it is there; with ranks, on any of them."""
    behind: frozenset[int]
    """Ids of the heads that the features are made of, a task's own mask say."""
    reached: list[bool]
    """Whether a loss depends on it, of the shared parameters and then of the heads; with ranks, on any of them."""
    named: bool
    """Whether the user gave the heads; else they are those that the losses of this rank reach, in that order."""

    def collect(
        self,
        chunk_size: int,
        factor: Tensor,
        heads: Sequence[Tensor],
        retain_graph: bool,
        factored: bool,
        watch: bool,
    ) -> Collected:
        """Per-task gradients, and the plain gradient of heads times `factor`.

        Args:
            chunk_size: see `loss_gradients`.
            factor: on every loss; the per-task gradients are without it.
            heads: of single tasks.
            retain_graph: whether the graph is needed again; behind the features it is.
            factored: whether the gradients may stay factors of products.
            watch: whether to see of which task a gradient is that is not finite.
        """
        check_count("chunk_size", chunk_size)
        factored = factored and not self.features
        alone = factored and self.average is None
        passes = sample_passes(self.losses.roots, self.shared, heads, factor) if alone else None
        ahead = [head for head in heads if id(head) not in self.behind]
        behind = [head for head in heads if id(head) in self.behind]
        ones = factor.new_ones(len(self.losses.present))
        of_behind, _ = self.weighted(ones * factor, behind, retain_graph=True, watch=False)
        with apart(self.features):
            passes = passes or task_passes(
                self.losses.roots,
                self.features or self.shared,
                ahead,
                factor=factor,
                chunk_size=1 if chunk_size > 1 and has_sparse(self.losses.roots) else chunk_size,
                retain_graph=retain_graph or bool(self.features),
                own_graphs=not retain_graph and len(self.features) == 1 and are_apart(self.losses.roots, self.features),
                factored=factored,
                average=self.average if factored else None,
                watch=watch,
            )
        unit = common = passes.unit
        sizes = torch.stack((passes.own_sizes, passes.unit))
        self.mean([sizes])
        if self.average is not None and not self.features:
            # The ranks' gradients need one unit before they can be averaged.
            common = power_of_two(sizes[1], passes.dtypes)
        gradients = TaskGradients({str(i): leaf for i, leaf in enumerate(passes.leaves)})
        of_ahead = iter(self.mean_of(passes.heads, ahead))
        rest = iter(of_behind)
        of_heads = [next(rest) if id(head) in self.behind else next(of_ahead) for head in heads]
        return Collected(gradients, unit / factor, common / factor, passes.sparse, of_heads, sizes)

    def compared(self, collected: Collected, parted: bool) -> Compared:
        """What the collected gradients are beside each other, over all ranks; `parted`: see `compared`."""
        gradients, unit, common = collected[:3]
        if not self.features or self.average is None:
            return compared(gradients, unit, common, self.average, parted)
        # Each rank has rows of its own, whose losses count 1/size: the Gram matrices add up, divided by size^2.
        own = compared(gradients, unit, common, None, parted)
        self.mean([own.gram])
        return own._replace(gram=own.gram / self.average.size)

    def of_shared(self, direction: Sequence[Tensor], sparse: Sequence[bool], retain_graph: bool) -> Gradients:
        """A direction, made of the collected gradients, at the shared parameters."""
        if not self.features:
            return at_parameters(direction, self.shared, sparse, self.reached)
        direction = [like(x, at) for x, at in zip(direction, self.features, strict=True)]
        gradients = torch.autograd.grad(
            self.features, self.shared, direction, retain_graph=retain_graph, allow_unused=True
        )
        return self.mean_of(gradients, self.shared)

    def weighted(
        self, factors: Tensor, at: Sequence[Tensor], retain_graph: bool, watch: bool
    ) -> tuple[Gradients, Watch]:
        """Gradients of `sum_i factors_i L_i` by some of the parameters: a plain backward pass.

        Args:
            factors: `[T]`.
            at: parameters.
            retain_graph: whether the graph is needed again.
            watch: whether to see which task has a gradient that is not finite.

        Returns:
            The gradients; what was seen of the tasks.
        """
        if not at or not any(self.losses.present):
            return self.mean_of([None] * len(at), at), Watch(self.losses.roots, False)
        # A weight may be far outside the range of 16 bits; the weighted gradient then is not.
        small = self.losses.dtype.itemsize < 4
        gradients: Gradients
        unit = factors.detach().abs().amax().clamp(min=1e-30) if small else factors.new_ones(())
        with Watch(self.losses.roots, watch) as watched:
            gradients = vector_jacobian(self.losses.roots, factors / unit, at, retain_graph)
        if small:
            gradients = [None if gradient is None else gradient * unit for gradient in gradients]
        return self.mean_of(gradients, at), watched

    def of_tasks(self, tasks: Sequence[int]) -> LossGraph:
        """The graph of some of the tasks' losses."""
        return replace(self, losses=self.losses.of(tasks), present=[self.present[task] for task in tasks])

    def mean(self, tensors: Sequence[Tensor]) -> None:
        """Averages tensors over the ranks, in place; without ranks leaves them."""
        if self.average is not None:
            self.average(tensors)

    def mean_of(self, gradients: Gradients, at: Sequence[Tensor]) -> Gradients:
        """Averages of gradients over the ranks; one that no loss of this rank reaches counts as zero."""
        if self.average is None:
            return gradients
        known = {id(p): here for p, here in zip((*self.shared, *self.heads), self.reached, strict=True)}
        there = [known[id(p)] for p in at]
        sparse = [gradient is not None and gradient.is_sparse for gradient in gradients]
        dense = [
            torch.zeros_like(p) if gradient is None else gradient.to_dense() if gradient.is_sparse else gradient.clone()
            for p, gradient, here in zip(at, gradients, there, strict=True)
            if here
        ]
        self.mean(dense)
        means = iter(dense)
        return [
            (next(means).to_sparse(1) if was_sparse else next(means)) if here else None
            for here, was_sparse in zip(there, sparse, strict=True)
        ]


def loss_graph(
    losses: Losses,
    shared: Trainable,
    heads: Trainable | None = None,
    features: Tensor | Sequence[Tensor] | None = None,
    average: Average | None = None,
    again: bool = False,
) -> LossGraph:
    """See `backward` for the arguments; `again`: whether there may be another call on the same losses.

    Raises:
        TypeError: parameters or features that are none.
        ValueError: nothing shared is trained or reached, a parameter is shared and a head, the losses bypass the
            features, or a part of the graph cannot be differentiated task by task.
    """
    common = trained("shared", shared)
    if not common:
        raise ValueError("shared needs parameters that require a gradient, got none (an iterator serves one call only)")
    own = None if heads is None else trained("heads", heads)
    known = {id(p) for p in common}
    both = sum(id(p) in known for p in own or ())
    if both:
        raise ValueError(f"a parameter is either shared or a head, but {both} are in shared and in heads")
    points = _features(features)
    roots = [root for root in losses.roots if root is not None]
    front, behind = reached(roots, points), reached(map(get_gradient_edge, points), ())
    for node in front | behind:
        check_node(node)
    ahead, trunk = leaves(front), leaves(behind)
    if points and any(id(leaf) in known for leaf in ahead):
        raise ValueError(
            "features need to be all that the losses see of the shared parameters, but one is used directly"
        )
    own_behind = {id(leaf) for leaf in trunk if id(leaf) not in known}
    if own_behind - {id(p) for p in own or ()}:
        raise ValueError(
            "features need to be made of shared parameters, and of heads that were given, but a trained one behind "
            "them is neither"
        )
    found = [leaf for leaf in ahead if id(leaf) not in known] if own is None else own
    check_whole([*common, *found], averaged=average is not None)
    met = {id(leaf) for leaf in ahead + trunk}
    if roots and not known & met:
        raise ValueError(
            "shared needs parameters that the losses depend on, but no loss reaches one of them: are they a copy?"
        )
    check_groups(roots, known, None if own is not None else {id(p) for p in found}, again)
    there = [id(p) in met for p in (*common, *found)]
    named = own is not None
    return LossGraph(losses, common, found, points, average, losses.present, frozenset(own_behind), there, named)


@contextmanager
def apart(features: Sequence[Tensor]) -> Iterator[None]:
    """A block where the gradient with respect to a feature is that at fixed others, even if one is made of another.

    And before the feature's hooks: these see the direction, once, that is made of the tasks' gradients.
    """
    outputs: dict[Node, set[int]] = {}
    for z in features if len(features) > 1 else ():
        node, output = get_gradient_edge(z)[:2]
        outputs.setdefault(node, set()).add(output)

    def stop(these: set[int]) -> Any:
        # Runs after the gradient has been taken, before it goes on.
        return lambda gradients: tuple(None if i in these else gradient for i, gradient in enumerate(gradients))

    with ExitStack() as stack:
        stack.enter_context(without_hooks(features))
        for node, these in outputs.items():
            stack.callback(node.register_prehook(stop(these)).remove)
        yield


def _features(features: Tensor | Sequence[Tensor] | None) -> list[Tensor]:
    """The places in the graph where gradients are compared, each once."""
    if features is None:
        return []
    if not isinstance(features, Iterable):
        raise TypeError(f"features need to be tensors, got {type(features).__name__}")
    points = [features] if isinstance(features, Tensor) else list(features)
    others = [type(z).__name__ for z in points if not isinstance(z, Tensor)]
    if others:
        raise TypeError(f"features need to be tensors, got a {others[0]} among them")
    if not points:
        raise ValueError("features need at least one tensor, got none: without features is features=None")
    if not all(z.requires_grad for z in points):
        raise ValueError("features need a graph that leads to the shared parameters, got a tensor without one")
    by_place: dict[tuple[Node, int], Tensor] = {}
    for z in points:
        edge = get_gradient_edge(z)
        by_place[edge.node, edge.output_nr] = z
    return [*by_place.values()]


def at_parameters(
    direction: Sequence[Tensor], parameters: Sequence[Tensor], sparse: Sequence[bool], reached: Sequence[bool]
) -> Gradients:
    """A direction as gradients of parameters: None where no loss depends on one, sparse where autograd's are."""
    return [
        (x.to_sparse(1) if was_sparse and not x.is_sparse else x) if here else None
        for x, was_sparse, here in zip(map(like, direction, parameters), sparse, reached, strict=False)
    ]


def like(x: Tensor, at: Tensor) -> Tensor:
    """Back from pairs of real numbers, if the tensor is complex; in its dtype."""
    return torch.view_as_complex(x.contiguous()) if at.is_complex() else x.to(at.dtype)
