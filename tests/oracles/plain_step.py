"""A step written plainly: the Jacobian row by row, the method on its Gram matrix."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mtrl.aggregation import Method


def plain_step(
    parts: Sequence[Tensor], method: Method, shared: Sequence[Tensor], heads: Sequence[Tensor]
) -> tuple[list[Tensor], list[Tensor]]:
    """Gradients of the shared parameters, as long as the mean's in each part, and of the heads; sums over the parts.

    Args:
        parts: losses `[T]` of each part of a batch.
        method: of the step.
        shared: parameters of all tasks.
        heads: parameters of single tasks.
    """
    update, plain = torch.zeros(()), []
    for losses in parts:
        grads = [torch.autograd.grad(loss, shared, retain_graph=True) for loss in losses]
        jacobian = torch.stack([torch.cat([g.flatten() for g in row]) for row in grads])  # [T, P]
        direction = method((jacobian @ jacobian.T).double(), losses.detach().double()).to(jacobian) @ jacobian
        update = update + direction * jacobian.mean(0).norm() / direction.norm()
        plain.append(torch.autograd.grad(losses.sum(), heads))
    sizes = [p.numel() for p in shared]
    of_shared = [part.view_as(p) for part, p in zip(update.split(sizes), shared, strict=True)]
    return of_shared, [sum(gradients) for gradients in zip(*plain, strict=True)]
