"""The autograd graph, walked: what is reached in it, and what cannot be differentiated task by task."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from torch import Tensor
from torch.autograd.graph import GradientEdge, Node, get_gradient_edge

from mtrl.gradients.torch_nodes import UNBIND, kind, leaf_at

BEFORE = "mtrl.gradients: shared parameters and heads of an earlier call"
"""Key of a node's metadata."""


def reached(starts: Iterable[GradientEdge], stop: Iterable[Tensor]) -> dict[Node, None]:
    """Nodes that are reached without passing a feature, in the order in which they are met."""
    ends = {(edge.node, edge.output_nr) for edge in map(get_gradient_edge, stop)}
    met: dict[Node, None] = {}
    waiting = [(edge.node, edge.output_nr) for edge in reversed(list(starts))]
    while waiting:
        node, output = waiting.pop()
        if node in met or (node, output) in ends:
            continue
        met[node] = None
        waiting.extend((following, place) for following, place in node.next_functions if following is not None)
    return met


def are_apart(roots: Sequence[GradientEdge | None], stop: Iterable[Tensor]) -> bool:
    """Whether no node but leaves is reached from two roots without passing a feature."""
    stop, met = list(stop), set[Node]()
    for root in roots:
        own = {node for node in reached([root] if root is not None else [], stop) if node.next_functions}
        if own & met:
            return False
        met |= own
    return True


def leaves(nodes: Iterable[Node]) -> list[Tensor]:
    """The parameters among the nodes, without those that were frozen after the forward pass."""
    return [leaf for leaf in map(leaf_at, nodes) if leaf is not None and leaf.requires_grad]


def has_sparse(roots: Sequence[GradientEdge | None]) -> bool:
    """Whether an embedding with sparse gradients is in the graph: these have no batched backward pass."""
    nodes = reached([root for root in roots if root is not None], ())
    return any(kind(node).startswith("Embedding") and getattr(node, "_saved_sparse", False) for node in nodes)


def check_groups(roots: Sequence[GradientEdge], shared: set[int], found: set[int] | None, again: bool) -> None:
    """Whether no parameter takes part twice in several calls on the same losses.

    Args:
        roots: of the losses.
        shared: ids of the shared parameters.
        found: ids of the heads that the user did not name.
        again: whether there may be another call on these losses.

    Raises:
        ValueError: one is shared in one call and was found as a head in another.
    """
    for root in roots:
        node: Any = root.node
        if kind(node) == UNBIND:  # of this call alone
            node = node.next_functions[0][0]
        before = node.metadata.get(BEFORE, (set(), set()))
        if (found or set()) & before[0] or shared & before[1]:
            raise ValueError(
                "heads need to be given where backward is called several times on the same losses: "
                "without them each call adds the plain gradient of the parameters that are shared in another"
            )
        if again:
            node.metadata[BEFORE] = (before[0] | shared, before[1] | (found or set()))
