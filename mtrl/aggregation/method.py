"""What every aggregation method is: a Gram matrix in, one weight per task out.

Axes: `T` tasks; leading batch axes are written `...`.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mtrl.aggregation.linear_algebra import bilinear


@dataclass(frozen=True)
class Solution:
    """Weights and the certificate that comes with them."""

    weights: Tensor
    """`[..., T]`; the update is `sum_i w_i g_i`."""
    residual: Tensor
    """`[...]`, float64, >= 0: how far the weights are from the method's optimality condition (each method
    says
    which); 0 for a closed form."""
    iterations: int
    """Steps of the solver: a fixed number; 0 for a closed form."""
    stationary: Tensor
    """`[...]`, bool: the update is zero up to the rounding of the Gram matrix."""


class Method(nn.Module, ABC):
    """An aggregation rule; subclasses are final and implement `weigh`.

    Calling it costs no synchronisation: no host copy, no branch on a tensor's value, so it runs under
    `torch.compile(fullgraph=True)`, `torch.vmap` and on `meta` tensors. Weights carry no gradient.
    """

    iterations: int = 0
    """Steps of the method's solver."""

    @abstractmethod
    def weigh(self, gram: Tensor, losses: Tensor | None, eps: float) -> Tensor:
        """The method's equation.

        Args:
            gram: inner products of the task gradients, `[..., T, T]`, float64.
            losses: `[..., T]`, float64, or None.
            eps: relative rounding of the Gram matrix that was given (its dtype's epsilon).

        Returns:
            Weights, `[..., T]`, float64.
        """

    def residual(self, gram: Tensor, losses: Tensor | None, weights: Tensor) -> Tensor:
        """Distance from the optimality condition, `[...]`; 0 for a closed form."""
        return torch.zeros_like(weights[..., 0])

    def forward(self, gram: Tensor, losses: Tensor | None = None) -> Tensor:
        """Weights of the tasks.

        Args:
            gram: inner products `G_ij = <g_i, g_j>` of the task gradients, `[..., T, T]`, floating point.
            losses: task losses, `[..., T]`, for the methods that read them.

        Returns:
            Weights, `[..., T]`, in the dtype and on the device of `gram`; all NaN where `gram` holds a NaN or
            an infinity.
        """
        _check_shapes(gram, losses)
        exact, exact_losses = _exact(gram, losses)
        weights = self.weigh(exact, exact_losses, torch.finfo(gram.dtype).eps)
        finite = exact.isfinite().flatten(-2).all(-1, keepdim=True)
        return torch.where(finite, weights, torch.nan).to(gram.dtype)

    def solve(self, gram: Tensor, losses: Tensor | None = None) -> Solution:
        """Weights with their certificate. Reads values back to the host, unlike a plain call.

        Raises:
            ValueError: an entry of `gram` or `losses` is NaN or infinite; the message names the task.
        """
        _check_shapes(gram, losses)
        _check_finite(gram, losses)
        exact, exact_losses = _exact(gram, losses)
        eps = torch.finfo(gram.dtype).eps
        weights = self.weigh(exact, exact_losses, eps)
        lengths = weights.abs() * exact.diagonal(dim1=-2, dim2=-1).clamp(min=0).sqrt()
        rounding = 4 * gram.shape[-1] * eps * lengths.sum(-1) ** 2
        return Solution(
            weights=weights.to(gram.dtype),
            residual=self.residual(exact, exact_losses, weights),
            iterations=self.iterations,
            stationary=bilinear(weights, exact, weights)[..., 0] <= rounding,
        )


def _exact(gram: Tensor, losses: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """The input in float64 and without gradient history."""
    return gram.detach().double(), None if losses is None else losses.detach().double()


def _check_shapes(gram: Tensor, losses: Tensor | None) -> None:
    if gram.ndim < 2 or gram.shape[-1] != gram.shape[-2] or gram.shape[-1] == 0:
        raise ValueError(f"gram needs the shape [..., T, T] with T >= 1, got {list(gram.shape)}")
    if not gram.is_floating_point():
        raise ValueError(f"gram needs a floating-point dtype, got {gram.dtype}")
    if losses is not None and losses.shape != gram.shape[:-1]:
        raise ValueError(f"losses need the shape {list(gram.shape[:-1])} of the tasks, got {list(losses.shape)}")


def _check_finite(gram: Tensor, losses: Tensor | None) -> None:
    """Name the first task whose gradient or loss is not finite."""
    # The diagonal first: one bad gradient spoils a row and a column, hence an entry of every other task.
    for what, values in (
        ("gradient", gram.diagonal(dim1=-2, dim2=-1)),
        ("gradient", gram.sum(-1)),
        ("loss", losses),
    ):
        if values is None or bool(values.isfinite().all()):
            continue
        *batch, task = (~values.isfinite()).nonzero()[0].tolist()
        where = f" of matrix {batch}" if batch else ""
        raise ValueError(f"the {what} of task {task}{where} is not finite: {values[(*batch, task)].item()}")
