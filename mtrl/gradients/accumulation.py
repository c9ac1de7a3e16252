"""Gradients put into `.grad` as autograd's own accumulation does."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def accumulate(parameters: Sequence[Tensor], gradients: Sequence[Tensor | None]) -> None:
    """Adds gradients to `.grad`, and then calls a parameter's post-accumulate-grad hooks, once.

    What becomes a `.grad` is nobody else's: autograd may give one tensor as the gradient of two parameters, or a view
    or an expanded one, and the first change in place would go to both. It has the parameter's dtype and layout; a
    sparse gradient stays sparse.

    Args:
        parameters: leaves of the graph.
        gradients: one for each; None leaves the parameter alone.
    """
    with torch.no_grad():
        for parameter, gradient in zip(parameters, gradients, strict=True):
            if gradient is None:
                continue
            parameter.grad = _sum(parameter, gradient.detach())
            for hook in list((getattr(parameter, "_post_accumulate_grad_hooks", None) or {}).values()):
                hook(parameter)


def _sum(parameter: Tensor, gradient: Tensor) -> Tensor:
    before = parameter.grad
    if before is None:
        if gradient.is_sparse:
            return gradient.to(parameter.dtype, copy=True)
        return torch.empty_like(parameter, requires_grad=False).copy_(gradient)
    if before.is_sparse:
        return before + gradient if gradient.is_sparse else gradient + before
    return before.add_(gradient)
