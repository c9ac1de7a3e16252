"""The autograd graph of the tasks' losses: what is shared in it, what belongs to single tasks, how to differentiate it.

Axes: `T` tasks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, Node, get_gradient_edge

from mtrl.gradients.leaves import TaskGradients
from mtrl.gradients.shared_forward import loss_gradients, loss_roots, vector_jacobian

Trainable = Iterable[Tensor] | nn.Module
"""Parameters, or the module that has them."""
Gradients = Sequence[Tensor | None]
"""Of a list of tensors; None where no loss depends on one."""


class Average(Protocol):
    """Takes means over ranks, as `mtrl.distributed.RankAverage` does."""

    @property
    def size(self) -> int:
        """How many ranks there are."""

    def __call__(self, tensors: Sequence[Tensor]) -> None:
        """Replaces each tensor in place by its mean over the ranks."""


@dataclass(frozen=True)
class LossGraph:
    """Losses, and the tensors that they are to be differentiated by."""

    losses: Tensor | Sequence[Tensor]
    shared: list[Tensor]
    """Parameters of all tasks."""
    heads: list[Tensor]
    """Parameters of single tasks."""
    features: list[Tensor]
    """The representation where the tasks' gradients are compared; empty: at the shared parameters."""
    average: Average | None
    """Over the ranks of a distributed run; all gradients that the methods give are averaged."""

    def collect(self, chunk_size: int, scale: float, retain_graph: bool) -> tuple[TaskGradients, Tensor, Gradients]:
        """Per-task gradients, their Gram matrix, and the plain gradients of the heads times `scale`."""
        gradients, of_heads = loss_gradients(
            self.losses,
            {str(i): x for i, x in enumerate(self.features or self.shared)},
            self.heads,
            chunk_size=chunk_size,
            scale=scale,
            retain_graph=retain_graph,
        )
        leaves = [*gradients.whole().values()]
        if scale != 1:
            torch._foreach_div_(leaves, scale)
        self.mean(of_heads if self.features else [*leaves, *of_heads])
        gram = gradients.gram()
        if self.features and self.average is not None:
            # Each rank has rows of its own, whose losses count 1/size: the Gram matrices add up, divided by size^2.
            self.mean([gram])
            gram = gram / self.average.size
        return gradients, gram, of_heads

    def of_shared(self, direction: Sequence[Tensor], retain_graph: bool) -> Gradients:
        """A direction, made of the collected gradients, at the shared parameters."""
        if not self.features:
            return direction
        gradients = torch.autograd.grad(
            self.features, self.shared, direction, retain_graph=retain_graph, allow_unused=True
        )
        self.mean(gradients)
        return gradients

    def weighted(self, factors: Tensor, at: Sequence[Tensor], retain_graph: bool) -> Gradients:
        """Gradients of `sum_i factors_i L_i` by some of the parameters: a plain backward pass."""
        if not at:
            return []
        gradients = vector_jacobian(loss_roots(self.losses), factors, at, retain_graph)
        self.mean(gradients)
        return gradients

    def mean(self, tensors: Gradients) -> None:
        """Average over the ranks, in place."""
        if self.average is not None:
            self.average([x for x in tensors if x is not None])


def loss_graph(
    losses: Tensor | Sequence[Tensor],
    shared: Trainable,
    heads: Trainable | None = None,
    features: Tensor | Sequence[Tensor] | None = None,
    average: Average | None = None,
) -> LossGraph:
    """See `backward` for the arguments.

    Raises:
        ValueError: nothing shared is trained, or the losses bypass the features.
    """
    roots, trained = loss_roots(losses), _trained(shared)
    if not trained:
        raise ValueError("shared needs parameters that require a gradient, got none")
    points = [features] if isinstance(features, Tensor) else list(features or ())
    if not all(z.requires_grad for z in points):
        raise ValueError("features need a graph that leads to the shared parameters, got a tensor without one")
    if heads is not None and not points:
        return LossGraph(losses, trained, _trained(heads), points, average)
    known = {id(p) for p in trained}
    reached = _leaves(roots, points)
    found = [leaf for leaf in reached if id(leaf) not in known]
    if points and len(found) < len(reached):
        raise ValueError(
            "features need to be all that the losses see of the shared parameters, but one is used directly"
        )
    return LossGraph(losses, trained, found if heads is None else _trained(heads), points, average)


def _trained(parameters: Trainable) -> list[Tensor]:
    """Each parameter once, those without gradients left out."""
    tensors = parameters.parameters() if isinstance(parameters, nn.Module) else parameters
    return [*{id(p): p for p in tensors if p.requires_grad}.values()]


def _leaves(roots: Sequence[GradientEdge], features: Iterable[Tensor]) -> list[Tensor]:
    """Leaves that the roots reach without passing a feature, in the order in which the graph is met."""
    behind = {get_gradient_edge(z).node for z in features}
    leaves: list[Tensor] = []
    met: set[Node] = set()
    waiting = [root.node for root in reversed(roots)]
    while waiting:
        node = waiting.pop()
        if node in met or node in behind:
            continue
        met.add(node)
        leaf = getattr(node, "variable", None)  # on the nodes that accumulate into a leaf
        if leaf is not None:
            leaves.append(leaf)
        waiting.extend(following for following, _ in node.next_functions if following is not None)
    return leaves
