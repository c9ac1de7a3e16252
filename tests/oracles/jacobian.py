"""The Jacobian of task losses said plainly: a backward pass per loss, each on a forward pass of its own."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def jacobian(losses: Callable[[], Sequence[Tensor]], parameters: Sequence[Tensor]) -> Tensor:
    """`[T, P]` in float64; complex parameters as pairs of real numbers, unused ones as zeros.

    Args:
        losses: computes them anew.
        parameters: to be differentiated by.
    """
    tasks = range(len(losses()))
    return torch.stack(
        [row(torch.autograd.grad(losses()[task], parameters, allow_unused=True), parameters) for task in tasks]
    )


def flat(parameters: Sequence[Tensor]) -> Tensor:
    """Of all `.grad` in a row, float64."""
    return row([p.grad for p in parameters], parameters)


def row(gradients: Sequence[Tensor | None], parameters: Sequence[Tensor]) -> Tensor:
    """`[P]`, float64."""
    pairs = zip(gradients, parameters, strict=True)
    return torch.cat([_real(torch.zeros_like(p) if g is None else g).flatten() for g, p in pairs])


def _real(gradient: Tensor) -> Tensor:
    gradient = gradient.to_dense() if gradient.is_sparse else gradient
    return (torch.view_as_real(gradient) if gradient.is_complex() else gradient).double()
