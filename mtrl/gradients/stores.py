"""What the passes of a shared forward are differentiated by, and where what they find is kept.

Axes: `T` tasks.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge

from mtrl.gradients.average import Average
from mtrl.gradients.layer_plan import plan_layers
from mtrl.gradients.leaves import Leaf
from mtrl.gradients.size import by_task, largest_entry, power_of_two


class Stores:
    """The gradients of all tasks by every shared tensor, or those at the outputs of the layers that apply it."""

    def __init__(
        self,
        roots: Sequence[GradientEdge],
        shared: Sequence[Tensor],
        num_tasks: int,
        factored: bool,
        average: Average | None,
    ) -> None:
        names = {str(i): x for i, x in enumerate(shared)}
        self._names = [*names]
        self._plan = plan_layers(roots if factored else [], names, average)
        formed = {name: x for name, x in names.items() if name not in self._plan.parameters}
        self._formed = {name: _zeros(x, num_tasks) for name, x in formed.items()}
        self._deltas = self._plan.zeros(num_tasks)
        self.inputs: list[Tensor | GradientEdge] = [*formed.values(), *(layer.edge for layer in self._deltas)]
        """What to differentiate by."""
        self._sparse: set[str] = set()
        self._layers = [*[None] * len(self._formed), *self._deltas]
        self._stores = [*self._formed.values(), *self._deltas.values()]
        self.dtypes = {store.dtype for store in self._stores}

    def put(self, found: Sequence[Tensor | None], rows: slice, like: Tensor) -> Tensor:
        """Keep the gradients of some tasks.

        Args:
            found: of each input `[tasks, *shape]`; None: zero.
            rows: the tasks.
            like: gives dtype and device of what is returned.

        Returns:
            A power of two for each task, which its gradients have been divided by.
        """
        for name, gradient in zip(self._formed, found, strict=False):
            if gradient is not None and gradient.is_sparse:
                self._sparse.add(name)
        found = [None if gradient is None else _real(_dense(gradient)) for gradient in found]
        unit = power_of_two(largest_entry(found, like, rows.stop - rows.start), self.dtypes)
        inverse = {dtype: (1 / unit).to(dtype) for dtype in self.dtypes}
        for layer, store, gradient in zip(self._layers, self._stores, found, strict=True):
            if gradient is not None:
                by_row = gradient if layer is None else layer.by_row(gradient)
                torch.mul(by_row, by_task(inverse[store.dtype], by_row), out=store[rows])
        return unit

    @property
    def sparse(self) -> list[bool]:
        """Whether autograd gave sparse gradients of each shared tensor, which are kept as dense ones here."""
        return [name in self._sparse for name in self._names]

    def leaves(self) -> list[Leaf]:
        """The leaves of the shared tensors, in their order."""
        leaves = {**self._formed, **self._plan.leaves(self._deltas)}
        return [leaves[name] for name in self._names]


def _zeros(x: Tensor, num_tasks: int) -> Tensor:
    x = _real(x.detach())
    return x.new_zeros(num_tasks, *x.shape)


def _real(x: Tensor) -> Tensor:
    return torch.view_as_real(x.resolve_conj()) if x.is_complex() else x


def _dense(x: Tensor) -> Tensor:
    return x.to_dense() if x.is_sparse else x
