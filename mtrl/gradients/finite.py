"""Which task a gradient that is not finite came from.

Axes: `T` tasks.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge, Node
from torch.utils.hooks import RemovableHandle


def check_gradients(sizes: Tensor, numbers: Sequence[int], vector: Tensor | None = None) -> None:
    """Names the first task whose gradient is not finite.

    Args:
        sizes: `[..., T]`, not finite where a gradient of the task is not.
        numbers: `[T]`, of the tasks, for the message.
        vector: see `Losses`.

    Raises:
        ValueError: there is one.
    """
    finite = sizes.isfinite()
    if bool(finite.all()):
        return
    where = tuple((~finite).nonzero()[0].tolist())
    size = f"{sizes[where].item()}{of_absent(vector)}"
    raise ValueError(f"the gradient of task {numbers[where[-1]]} is not finite: {size}")


def of_absent(vector: Tensor | None) -> str:
    """What to say of an absent entry that is not finite: 0 times it is NaN, in the gradients of the others."""
    if vector is None or bool(vector.isfinite().all()):
        return ""
    entry = int((~vector.isfinite()).nonzero()[0])
    return (
        f"; the loss of task {entry}, which is absent, is {vector[entry].item()}, and reaches the others since all are "
        "one vector: keep it finite (sum / count.clamp(min=1), say)"
    )


class Watch:
    """Watches one backward pass of several tasks: each task's gradient where its own part of the graph ends.

    Args:
        roots: where each task's part of the graph begins; None for an absent one.
        wanted: whether to watch at all.
        batch: number of tasks, if the pass is batched (`is_grads_batched` of `torch.autograd.grad`).
    """

    def __init__(self, roots: Sequence[GradientEdge | None], wanted: bool = True, batch: int | None = None) -> None:
        self._roots, self._wanted, self._batch = roots, wanted, batch
        self._seen: list[tuple[int, Tensor]] = []
        self._handles: list[RemovableHandle] = []

    def __enter__(self) -> Watch:
        owner = owners(self._roots) if self._wanted else {}
        for node, task in owner.items():
            ends = [
                place
                for place, (following, _) in enumerate(node.next_functions)
                if following is not None and (owner[following] != task or not following.next_functions)
            ]
            if task is not None and ends:
                self._handles.append(node.register_hook(self._hook(task, ends)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for handle in self._handles:
            handle.remove()

    def sums(self, like: Tensor) -> Tensor:
        """Sums of each task's gradient where it was watched, `[T]`: not finite where the gradient is not."""
        sums = [like.new_zeros(()) for _ in self._roots]
        for task, one in self._seen:
            sums[task] = sums[task] + one.to(like)
        return torch.stack(sums)

    def _hook(self, task: int, ends: Sequence[int]) -> Any:
        def hook(gradients: tuple[Tensor | None, ...], _: tuple[Tensor | None, ...]) -> None:
            for gradient in (gradients[end] for end in ends):
                if gradient is not None:
                    whole = gradient if self._batch is None else torch._remove_batch_dim(gradient, 1, self._batch, 0)
                    self._seen.append((task, _sum(whole)))

        return hook


def _sum(gradient: Tensor) -> Tensor:
    """The sum of all entries, scalar: not finite if one is not, and cheaper than the largest entry."""
    entries = gradient._values() if gradient.is_sparse else gradient
    entries = torch.view_as_real(entries.resolve_conj()) if entries.is_complex() else entries
    return entries.sum(dtype=torch.float32 if entries.dtype.itemsize < 4 else None)


def owners(roots: Sequence[GradientEdge | None]) -> dict[Node, int | None]:
    """The nodes of the graph, each with the task whose alone it is; None: of several tasks."""
    owner: dict[Node, int | None] = {}
    for task, root in enumerate(roots):
        waiting = [] if root is None else [root.node]
        while waiting:
            node = waiting.pop()
            new = task if node not in owner else None
            if node in owner and owner[node] in (task, None):
                continue
            owner[node] = new
            waiting.extend(following for following, _ in node.next_functions if following is not None)
    return owner
