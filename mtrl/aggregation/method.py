"""What every aggregation method is: a Gram matrix in, one weight per task out.

Axes: `T` tasks; leading batch axes are written `...`. Three kinds: `Method` weighs the tasks by their gradients' Gram
matrix, `LossMethod` by their losses alone, and a `GradientMethod` looks at the gradients themselves.
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mtrl.aggregation.parameters import numbers_checked
from mtrl.aggregation.solvers.linear_algebra import EPS, bilinear
from mtrl.aggregation.task_state import TaskState


@dataclass(frozen=True)
class Solution:
    """Weights and the certificate that comes with them."""

    weights: Tensor
    """`[..., T]`; the update is `sum_i w_i g_i`."""
    residual: Tensor
    """`[...]`, float64, >= 0: how far the weights are from the method's optimality condition (each method says
    which); 0 for a closed form."""
    iterations: int
    """Steps of the solver at most: a fixed number; 0 for a closed form."""
    stationary: Tensor
    """`[...]`, bool: the update is zero up to the rounding of the Gram matrix."""


class AnyMethod(TaskState, ABC):
    """What methods of all kinds say of themselves.

    Calling one costs no synchronisation on a device: no host copy, no branch on a tensor's value, so it runs under
    `torch.compile(fullgraph=True)`, `torch.vmap` and on `meta` tensors. What it returns carries no gradient. State (a
    history, logits, the position in a random stream) sits in buffers, so that `state_dict()` resumes it.
    """

    positive_losses: bool = False
    """True: the rule takes logarithms of the losses or divides by them. `solve` refuses a loss that is not positive;
    `forward`, which reads no value, does what the method says."""
    needs_update: bool = False
    """True: `update` must be called with the losses after the optimizer's step, on the same data."""
    remembers_gradients: bool = False
    """True: coordinates of gradients are remembered, which need to be of the same parameters at each call. At a
    representation, they are of other samples."""
    weighs_remembered: bool = False
    """True: the weights are for gradients that the method remembers: they are not to be used again with others."""
    weighs_heads: bool = False
    """True: the rule is a weighted loss, `sum_i w_i L_i`, whose gradient goes to the heads as well. False: it concerns
    the shared parameters, and heads take the plain gradient of their own task's loss."""

    _worst_residual: Tensor

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if constructor := vars(cls).get("__init__"):
            type.__setattr__(cls, "__init__", numbers_checked(constructor))

    def __init__(self) -> None:
        super().__init__()
        # A scalar of a CPU that a compiled function reads is traced as a number first, and the function once more then.
        worst = torch.zeros(1, dtype=torch.float64, device="cpu")  # whatever the default device: nothing loads it
        self.register_buffer("_worst_residual", worst, persistent=False)

    @property
    def worst_residual(self) -> Tensor:
        """The largest residual of all calls so far, scalar, float64, on the device.

        What a training loop looks at now and then, since a plain call raises nothing. It is a view: set it to zero to
        begin anew. It is no part of `state_dict()`.
        """
        return self._worst_residual[0]

    def draw_apart(self, seeds: Sequence[int]) -> None:
        """Gives each problem along the leading axis the random numbers of a method with its seed.

        For the methods with a `seed`; one that has no need of it for a single problem need not implement it.

        Args:
            seeds: `[S]`, of which this method was made with the first.

        Raises:
            ValueError: it does not, and the seeds differ.
        """
        if len(set(seeds)) > 1:
            raise ValueError(f"{self} draws the same for all of {len(seeds)} seeds: it does not implement draw_apart")

    def update(self, losses: Tensor) -> None:
        """Learns from the losses after the optimizer's step, `[..., T]`: for the methods with `needs_update`."""


class Method(AnyMethod):
    """Weights of the tasks from their gradients' Gram matrix; subclasses are final and implement `weigh`."""

    iterations: int = 0
    """Steps of the method's solver at most."""
    needs_losses: bool = False
    """True: `forward` asks for losses."""

    @abstractmethod
    def weigh(self, gram: Tensor, losses: Tensor | None, eps: float) -> Tensor:
        """The method's equation.

        Args:
            gram: inner products of the task gradients, `[..., T, T]`, float64.
            losses: `[..., T]`, float64, or None; see `given`.
            eps: relative rounding of the Gram matrix that was given (its dtype's epsilon).

        Returns:
            Weights, `[..., T]`, float64.
        """

    def residual(self, gram: Tensor, losses: Tensor | None, weights: Tensor, eps: float = EPS) -> Tensor:
        """Distance from the optimality condition, `[...]`; 0 for a closed form. Takes what `weigh` does."""
        return torch.zeros_like(weights[..., 0])

    def forward(self, gram: Tensor | None, losses: Tensor | None = None, eps: float | None = None) -> Tensor:
        """Weights of the tasks.

        Args:
            gram: inner products `G_ij = <g_i, g_j>` of the task gradients, `[..., T, T]`, floating point; None will
                do for a `LossMethod` if losses are given.
            losses: task losses, `[..., T]`, for the methods that read them.
            eps: relative rounding of the entries of `gram`; None for that of its dtype.

        Returns:
            Weights, `[..., T]`, in the dtype and on the device of `gram` (of `losses` without one); all NaN where
            `gram`, or losses that are read, hold a NaN or an infinity.
        """
        gram = self._checked(gram, losses)
        exact, exact_losses = _exact(gram), None if losses is None else _exact(losses)
        weights = self.weigh(exact, exact_losses, torch.finfo(gram.dtype).eps if eps is None else eps)
        if self.needs_losses:
            weights = spoiled(weights, self.given(exact_losses))
        return spoiled(weights, exact).to(gram.dtype)

    def solve(self, gram: Tensor | None, losses: Tensor | None = None) -> Solution:
        """Weights with their certificate. Reads values back to the host, unlike a plain call.

        Raises:
            TypeError: `gram` or `losses` are no tensors.
            ValueError: an entry of `gram` or `losses` is NaN or infinite, or a loss is not positive though the method
                needs that; the message names the task.
        """
        gram = self._checked(gram, losses)
        check_finite(gram, losses)
        check_positive(self, losses)
        exact, exact_losses = _exact(gram), None if losses is None else _exact(losses)
        eps = torch.finfo(gram.dtype).eps
        weights = self.weigh(exact, exact_losses, eps)
        lengths = weights.abs() * exact.diagonal(dim1=-2, dim2=-1).clamp(min=0).sqrt()
        rounding = 4 * gram.shape[-1] * eps * lengths.sum(-1) ** 2
        return Solution(
            weights=weights.to(gram.dtype),
            residual=self.residual(exact, exact_losses, weights, eps),
            iterations=self.iterations,
            stationary=bilinear(weights, exact, weights)[..., 0] <= rounding,
        )

    def noted(self, gram: Tensor) -> Tensor:
        """`worst_residual`, for a solver of this matrix to raise."""
        worst = self._buffers["_worst_residual"]
        if worst is not None and worst.dtype is torch.float64 and worst.device == gram.device:
            return worst[0]
        if gram.is_meta:
            return gram.new_zeros(())
        self._worst_residual = self._worst_residual.to(gram.device, torch.float64)
        return self.worst_residual

    def given(self, losses: Tensor | None) -> Tensor:
        """The losses of a call, for a method that needs them.

        Raises:
            ValueError: there are none.
        """
        if losses is None:
            raise ValueError(f"{self} needs losses")
        return losses

    def extra_repr(self) -> str:
        """The constructor's arguments, as `print` and error texts show them."""
        names = inspect.signature(type(self)).parameters
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in names)

    def _checked(self, gram: Tensor | None, losses: Tensor | None) -> Tensor:
        """The Gram matrix, if it and the losses are what the method needs."""
        if self.needs_losses:
            self.given(losses)
        if gram is None:
            raise ValueError(f"{self} needs a Gram matrix")
        check_tensor("gram", gram)
        if losses is not None:
            check_tensor("losses", losses)
        check_shapes(gram.shape, gram.dtype, losses)
        return gram


class LossMethod(Method):
    """Weights of the tasks from their losses, or from nothing: no per-task gradients need be collected.

    Subclasses are final and implement `weigh_losses`. All that `Method` says holds with a Gram matrix that is given,
    which only has a part in the dtype of the weights and in where they are NaN.
    """

    weighs_heads = True
    needs_losses = True

    @abstractmethod
    def weigh_losses(self, losses: Tensor) -> Tensor:
        """The method's equation: losses to weights, both `[..., T]`, float64.

        Where `needs_losses` is False the values mean nothing: only shape and device are those of the losses.
        """

    def weigh(self, gram: Tensor, losses: Tensor | None, eps: float) -> Tensor:
        return self.weigh_losses(self.given(losses) if self.needs_losses else gram[..., 0])

    def forward(self, gram: Tensor | None, losses: Tensor | None = None, eps: float | None = None) -> Tensor:
        """The weights, as `Method.forward` gives them; `gram` may be None if there are losses."""
        if gram is not None:
            return super().forward(gram, losses, eps)
        losses = self._losses_alone(losses)
        weights = self.weigh_losses(_exact(losses))
        return (spoiled(weights, _exact(losses)) if self.needs_losses else weights).to(losses.dtype)

    def solve(self, gram: Tensor | None, losses: Tensor | None = None) -> Solution:
        """The weights and their certificate, as `Method.solve` gives them; gradients that nobody gave count as zero."""
        if gram is None:
            losses = self._losses_alone(losses)
            gram = losses.new_zeros(()).expand(*losses.shape, losses.shape[-1])
        return super().solve(gram, losses)

    def _losses_alone(self, losses: Tensor | None) -> Tensor:
        if losses is None:
            raise ValueError(f"{self} needs {'losses' if self.needs_losses else 'a Gram matrix or losses'}")
        check_tensor("losses", losses)
        if losses.ndim == 0 or losses.shape[-1] == 0:
            raise ValueError(f"losses need the shape [..., T] with T >= 1, got {list(losses.shape)}")
        if not losses.dtype.is_floating_point:
            raise ValueError(f"losses need a floating-point dtype, got {losses.dtype}")
        return losses


def spoiled(weights: Tensor, values: Tensor) -> Tensor:
    """The weights, all NaN where the values that they are made of hold a NaN or an infinity.

    Args:
        weights: `[..., T]`, float64.
        values: `[..., T]` or `[..., T, T]`, float64.
    """
    total = values.sum(tuple(range(weights.ndim - 1, values.ndim)))
    # Adds zero, or NaN (0 * total would be folded away by a compiler).
    return weights + (total - total).unsqueeze(-1)


def check_finite(gram: Tensor | None, losses: Tensor | None, numbers: Sequence[int] | None = None) -> None:
    """Names the first task whose gradient or loss is not finite, of those given.

    Args:
        gram: `[..., T, T]`.
        losses: `[..., T]`.
        numbers: `[T]`, of the tasks, for the message; None for their places.

    Raises:
        ValueError: there is one.
    """
    # The diagonal first: one bad gradient spoils a row and a column, hence an entry of every other task.
    for what, values in (
        ("gradient", None if gram is None else gram.diagonal(dim1=-2, dim2=-1)),
        ("gradient", None if gram is None else gram.sum(-1)),
        ("loss", losses),
    ):
        if values is None or bool(values.isfinite().all()):
            continue
        *batch, task = (~values.isfinite()).nonzero()[0].tolist()
        where = f" of matrix {batch}" if batch else ""
        number = task if numbers is None else numbers[task]
        raise ValueError(f"the {what} of task {number}{where} is not finite: {values[(*batch, task)].item()}")


def check_positive(method: AnyMethod, losses: Tensor | None, numbers: Sequence[int] | None = None) -> None:
    """Names the first task whose loss is not positive, if the method needs that; `numbers` as for `check_finite`.

    Raises:
        ValueError: there is one.
    """
    if not method.positive_losses or losses is None or bool((losses > 0).all()):
        return
    *batch, task = (~(losses > 0)).nonzero()[0].tolist()
    where = f" of matrix {batch}" if batch else ""
    number = task if numbers is None else numbers[task]
    raise ValueError(f"{method} needs positive losses, got {losses[(*batch, task)].item()} for task {number}{where}")


def check_tensor(name: str, given: object) -> None:
    """Whether this is a tensor.

    Raises:
        TypeError: it is an array, a list or something else.
    """
    if not isinstance(given, Tensor):
        raise TypeError(f"{name} must be a tensor, got {type(given).__name__}")


def check_shapes(shape: Sequence[int], dtype: torch.dtype, losses: Tensor | None) -> None:
    """Whether a Gram matrix of this shape and dtype is one, and the losses fit it.

    Raises:
        ValueError: they do not.
    """
    if len(shape) < 2 or shape[-1] != shape[-2] or shape[-1] == 0:
        raise ValueError(f"gram needs the shape [..., T, T] with T >= 1, got {list(shape)}")
    if not dtype.is_floating_point:
        raise ValueError(f"gram needs a floating-point dtype, got {dtype}")
    if losses is not None and losses.shape != shape[:-1]:
        raise ValueError(f"losses need the shape {list(shape[:-1])} of the tasks, got {list(losses.shape)}")


def _exact(given: Tensor) -> Tensor:
    """The input in float64 and without gradient history."""
    return given.detach().double()
