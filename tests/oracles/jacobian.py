"""The Jacobian of task losses said plainly: a whole backward pass per loss, each on a forward pass of its own."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def jacobian(losses: Callable[[], Sequence[Tensor]], parameters: Sequence[Tensor]) -> Tensor:
    """`[T, P]` in float64; complex parameters as pairs of real numbers, unused ones as zeros.

    Args:
        losses: computes them anew.
        parameters: leaves; their `.grad` is changed, and then as it was.
    """
    before = [p.grad for p in parameters]
    rows = []
    for task in range(len(losses())):
        for p in parameters:
            p.grad = None
        losses()[task].backward()
        rows.append(flat(parameters))
    for p, grad in zip(parameters, before, strict=True):
        p.grad = grad
    return torch.stack(rows)


def flat(parameters: Sequence[Tensor]) -> Tensor:
    """Of all `.grad` in a row, float64."""
    return torch.cat([_real(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in parameters])


def _real(gradient: Tensor) -> Tensor:
    gradient = gradient.to_dense() if gradient.is_sparse else gradient
    return (torch.view_as_real(gradient) if gradient.is_complex() else gradient).double()
