"""What the passes of a shared forward are differentiated by, and where what they find is kept.

Axes: `T` tasks.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge

from mtrl.gradients.average import Average
from mtrl.gradients.layer_nodes import Embedding, Layer
from mtrl.gradients.layer_plan import Entries, plan_layers
from mtrl.gradients.leaves import Leaf
from mtrl.gradients.size import SMALL, largest_entry, power_of_two


class Stores:
    """The gradients of all tasks by every shared tensor, or those at the outputs of the layers that apply it."""

    def __init__(
        self,
        roots: Sequence[GradientEdge | None],
        shared: Sequence[Tensor],
        factored: bool,
        average: Average | None,
    ) -> None:
        names = {str(i): x for i, x in enumerate(shared)}
        self._names = [*names]
        there = [root for root in roots if root is not None]
        self._plan = plan_layers(there if factored else [], names, average)
        self._formed = {name: x for name, x in names.items() if name not in self._plan.parameters}
        entries = self._plan.entries
        self.inputs: list[Tensor | GradientEdge] = [*self._formed.values(), *(layer.edge for layer in entries)]
        """What to differentiate by."""
        self._layers = [*[None] * len(self._formed), *entries]
        self._entries = [*map(_entries_of, self._formed.values()), *entries.values()]
        self._together = _together(self._entries)
        self._stores = [_room(len(roots), [self._entries[place] for place in places]) for places in self._together]
        absent = [task for task, root in enumerate(roots) if root is None]
        for store in self._stores if absent else ():
            store[absent] = 0
        self._sparse: set[str] = set()
        self.dtypes = {store.dtype for store in self._stores}

    def put(self, found: Sequence[Tensor | None], rows: slice, like: Tensor) -> Tensor:
        """Keep the gradients of some tasks.

        Args:
            found: of each input `[tasks, *shape]`, or of one task `[*shape]`; None: zero.
            rows: the tasks.
            like: gives dtype and device of what is returned.

        Returns:
            A power of two for each task, which its gradients have been divided by.
        """
        for name, gradient in zip(self._formed, found, strict=False):
            if gradient is not None and gradient.is_sparse:
                self._sparse.add(name)
        number = rows.stop - rows.start
        by_row = [
            None if gradient is None else _by_row(gradient, layer).reshape(number, -1)
            for gradient, layer in zip(found, self._layers, strict=True)
        ]
        beside = [self._beside([by_row[place] for place in places], places, number) for places in self._together]
        unit = power_of_two(largest_entry(beside, like, number), self.dtypes)
        inverse = {dtype: (1 / unit).to(dtype).unsqueeze(1) for dtype in self.dtypes}
        for store, gradients in zip(self._stores, beside, strict=True):
            if gradients is None:
                store[rows] = 0
            else:
                torch.mul(gradients, inverse[store.dtype], out=store[rows])
        return unit

    @property
    def sparse(self) -> list[bool]:
        """Whether autograd gives sparse gradients of each shared tensor, which are kept otherwise here."""
        tables = {name for name, layers in self._plan.weights.items() if any(map(_is_sparse, layers))}
        return [name in self._sparse or name in tables for name in self._names]

    def leaves(self) -> list[Leaf]:
        """The leaves of the shared tensors, in their order."""
        kept: dict[int, Tensor] = {}
        for store, places in zip(self._stores, self._together, strict=True):
            parts = store.split([self._entries[place].number for place in places], 1)
            for place, part in zip(places, parts, strict=True):
                kept[place] = part.view(len(store), *self._entries[place].shape)
        formed = {name: kept[place] for place, name in enumerate(self._formed)}
        deltas = {layer: kept[place] for place, layer in enumerate(self._layers) if layer is not None}
        leaves = {**formed, **self._plan.leaves(deltas)}
        return [leaves[name] for name in self._names]

    def _beside(self, gradients: Sequence[Tensor | None], places: Sequence[int], number: int) -> Tensor | None:
        """Gradients of some tasks that are kept beside each other; None: all are zero."""
        if len(places) == 1:
            return gradients[0]
        some = next((gradient for gradient in gradients if gradient is not None), None)
        if some is None:
            return None
        widths = [self._entries[place].number for place in places]
        there = [some.new_zeros(number, n) if x is None else x for x, n in zip(gradients, widths, strict=True)]
        return torch.cat(there, 1)


def _is_sparse(layer: Layer) -> bool:
    return isinstance(layer, Embedding) and layer.sparse


def _together(entries: Sequence[Entries]) -> list[list[int]]:
    """Places of what is kept in one tensor: what is small, since there is much of it, and a call costs more."""
    places: dict[object, list[int]] = {}
    for place, x in enumerate(entries):
        places.setdefault((x.dtype, x.device) if x.number <= SMALL else place, []).append(place)
    return [*places.values()]


def _room(num_tasks: int, entries: Sequence[Entries]) -> Tensor:
    number = sum(x.number for x in entries)
    return torch.empty(num_tasks, number, dtype=entries[0].dtype, device=entries[0].device)


def _entries_of(x: Tensor) -> Entries:
    x = _real(x.detach())
    return Entries(x.shape, x.dtype, x.device)


def _by_row(gradient: Tensor, layer: Layer | None) -> Tensor:
    gradient = _real(gradient.to_dense() if gradient.is_sparse else gradient)
    return gradient if layer is None else layer.by_row(gradient)


def _real(x: Tensor) -> Tensor:
    return torch.view_as_real(x.resolve_conj()) if x.is_complex() else x
