"""Hooks of tensors (`Tensor.register_hook`), which are to be met once, by a sum over the tasks, not by each of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor


@contextmanager
def without_hooks(tensors: Sequence[Tensor]) -> Iterator[None]:
    """A block where the tensors' hooks are not met."""
    taken = [(hooks, {**hooks}) for hooks in (x._backward_hooks for x in tensors) if hooks]
    for hooks, _ in taken:
        hooks.clear()
    try:
        yield
    finally:
        for hooks, before in taken:
            hooks.update(before)


def after_hooks(tensor: Tensor, gradient: Tensor | None) -> Tensor | None:
    """What a tensor's hooks make of its gradient, one after the other."""
    if gradient is not None:
        for hook in [*(tensor._backward_hooks or {}).values()]:
            changed = hook(gradient)
            gradient = gradient if changed is None else changed
    return gradient
