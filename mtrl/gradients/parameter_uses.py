"""Where an autograd graph uses parameters: the nodes that take one as an input."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, Node

from mtrl.gradients.torch_nodes import CAST, TRANSPOSE, changes_gradients, is_hooked, kind, leaf_at


class Use(NamedTuple):
    """A place in the graph where a parameter is an input."""

    node: Node
    slot: int
    """Which of the node's inputs the parameter is; -1: the node is a loss, and the parameter itself."""
    way: Sequence[Node]
    """The nodes that the parameter passes on its way there, which only transpose or cast it."""

    @property
    def transposed(self) -> bool:
        """The parameter is transposed on its way there."""
        return sum(kind(node) == TRANSPOSE for node in self.way) % 2 == 1


def parameter_uses(roots: Sequence[GradientEdge], parameters: Mapping[str, Tensor]) -> dict[str, list[Use]]:
    """All that losses with these roots do with the parameters, by parameter name.

    Left out are parameters whose gradient is not told by their uses: subclasses of tensors, as shards are, complex
    ones, and those with a hook on themselves; one may be where they are used (`hooked`), too.
    """
    names = {id(x): name for name, x in parameters.items() if _plain(x)}
    found: dict[str, list[Use]] = {name: [] for name in names.values()}
    for parameter, use in _uses(roots):
        name = names.get(id(parameter))
        if name is not None:
            found[name].append(use)
    return found


def hooked(uses: Sequence[Use]) -> bool:
    """Whether a hook may change the gradient of a parameter with these uses; to look is slow beside small layers."""
    return any(
        is_hooked(use.node) or any(is_hooked(node) or changes_gradients(node) for node in use.way) for use in uses
    )


def _uses(roots: Sequence[GradientEdge]) -> Iterator[tuple[Tensor, Use]]:
    """Every leaf of the graph with each of its uses."""
    met: set[Node] = set()
    waiting = []
    for root in roots:
        leaf, way = _leaf(root.node)
        if leaf is None:
            waiting.append(root.node)
        else:
            yield leaf, Use(root.node, -1, way)
    while waiting:
        node = waiting.pop()
        if node in met:
            continue
        met.add(node)
        for slot, (following, _) in enumerate(node.next_functions):
            if following is None:
                continue
            leaf, way = _leaf(following)
            if leaf is None:
                waiting.append(following)
            else:
                yield leaf, Use(node, slot, way)


def _leaf(node: Node) -> tuple[Tensor | None, list[Node]]:
    """The leaf that a node, or several, only transpose or cast, and these; None if there is more to it."""
    way: list[Node] = []
    while True:
        leaf = leaf_at(node)
        if leaf is not None:
            return leaf, way
        following = node.next_functions[0][0] if kind(node) in (TRANSPOSE, CAST) else None
        if following is None:
            return None, []
        way.append(node)
        node = following


def _plain(x: Tensor) -> bool:
    own = type(x) in (Tensor, nn.Parameter) and x.layout == torch.strided
    return own and x.is_floating_point() and not x._backward_hooks
