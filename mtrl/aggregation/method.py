"""What every aggregation method is: a Gram matrix in, one weight per task out.

Axes: `T` tasks; leading batch axes are written `...`.
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mtrl.aggregation.solvers.linear_algebra import EPS, bilinear


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


class Method(nn.Module, ABC):
    """An aggregation rule; subclasses are final and implement `weigh`.

    Calling it costs no synchronisation on a device: no host copy, no branch on a tensor's value, so it runs under
    `torch.compile(fullgraph=True)`, `torch.vmap` and on `meta` tensors. Weights carry no gradient.

    State (a history, logits, the position in a random stream) sits in buffers, so that `state_dict()` resumes it. A
    buffer whose shape depends on the tasks is None until the first call, see `remembered`.
    """

    iterations: int = 0
    """Steps of the method's solver at most."""
    needs_gram: bool = True
    """False: the weights depend on the losses (or on nothing), `forward` takes `gram=None`, and no per-task gradients
    need be collected."""
    needs_losses: bool = False
    """True: `forward` asks for losses."""
    positive_losses: bool = False
    """True: the rule takes logarithms of the losses or divides by them. `solve` refuses a loss that is not positive;
    `forward`, which reads no value, does what the method says."""
    needs_gradients: bool = False
    """True: `observe` must see the gradients before their Gram matrix is taken, for the method to be the paper's."""
    needs_update: bool = False
    """True: `update` must be called with the losses after the optimizer's step, on the same data."""
    weighs_heads: bool = False
    """True: the rule is a weighted loss, `sum_i w_i L_i`, whose gradient goes to the heads as well. False: it concerns
    the shared parameters, and heads take the plain gradient of their own task's loss."""

    task_axes: dict[str, tuple[int, ...]]
    """Of the buffers whose shape the first call decides, those that go over the tasks, without leading axes."""
    task_names: tuple[str, ...] | None
    """Of the tasks that the state is of, in its order; None if they have no names and go by their places."""
    worst_residual: Tensor
    """The largest residual of all calls so far, scalar, float64, on the device: what a training loop looks at now and
    then, since a plain call raises nothing. Set it to zero to begin anew. It is no part of `state_dict()`."""
    held_weights: Tensor | None
    """`[T]`, the weights that a training loop reuses between two calls, NaN for a task without; None if it does not."""
    held_for: Tensor | None
    """Calls that these weights have served, int64."""

    def __init__(self) -> None:
        super().__init__()
        self.task_axes = {}
        self.task_names = None
        self.register_buffer("worst_residual", torch.zeros((), dtype=torch.float64), persistent=False)
        self.register_buffer("held_weights", None, task_axes=())
        self.register_buffer("held_for", None, task_axes=())

    @abstractmethod
    def weigh(self, gram: Tensor, losses: Tensor | None, eps: float) -> Tensor:
        """The method's equation.

        Args:
            gram: inner products of the task gradients, `[..., T, T]`, float64; zeros if the method was called without
                one, which needs `needs_gram = False`.
            losses: `[..., T]`, float64, or None.
            eps: relative rounding of the Gram matrix that was given (its dtype's epsilon).

        Returns:
            Weights, `[..., T]`, float64.
        """

    def residual(self, gram: Tensor, losses: Tensor | None, weights: Tensor, eps: float = EPS) -> Tensor:
        """Distance from the optimality condition, `[...]`; 0 for a closed form. Takes what `weigh` does."""
        return torch.zeros_like(weights[..., 0])

    def observe(self, gradients: Mapping[str, Tensor], losses: Tensor) -> Mapping[str, Tensor]:
        """Sees the gradients, for the few methods with `needs_gradients`: they keep a running mean of them, say.

        Args:
            gradients: by parameter name, `[..., T, *shape]`.
            losses: `[..., T]`.

        Returns:
            The gradients whose Gram matrix `forward` gets and which its weights combine; in the same form.
        """
        return gradients

    def update(self, losses: Tensor) -> None:
        """Learns from the losses after the optimizer's step, `[..., T]`: for the methods with `needs_update`."""

    def forward(self, gram: Tensor | None, losses: Tensor | None = None, eps: float | None = None) -> Tensor:
        """Weights of the tasks.

        Args:
            gram: inner products `G_ij = <g_i, g_j>` of the task gradients, `[..., T, T]`, floating point; None will
                do for the methods with `needs_gram = False` if losses are given.
            losses: task losses, `[..., T]`, for the methods that read them.
            eps: relative rounding of the entries of `gram`; None for that of its dtype.

        Returns:
            Weights, `[..., T]`, in the dtype and on the device of `gram` (of `losses` without one); all NaN where
            `gram`, or losses that are read, hold a NaN or an infinity.
        """
        gram = self._checked(gram, losses)
        exact, exact_losses = _exact(gram, losses)
        weights = self.weigh(exact, exact_losses, torch.finfo(gram.dtype).eps if eps is None else eps)
        total = exact.sum((-2, -1))
        if exact_losses is not None and self.needs_losses:
            total = total + exact_losses.sum(-1)
        # Adds zero, or NaN where there is a NaN or an infinity (0 * total would be folded away by a compiler).
        return (weights + (total - total).unsqueeze(-1)).to(gram.dtype)

    def solve(self, gram: Tensor | None, losses: Tensor | None = None) -> Solution:
        """Weights with their certificate. Reads values back to the host, unlike a plain call.

        Raises:
            ValueError: an entry of `gram` or `losses` is NaN or infinite, or a loss is not positive though the method
                needs that; the message names the task.
        """
        gram = self._checked(gram, losses)
        check_finite(gram, losses)
        check_positive(self, losses)
        exact, exact_losses = _exact(gram, losses)
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

    def register_buffer(
        self, name: str, tensor: Tensor | None, persistent: bool = True, task_axes: tuple[int, ...] = (-1,)
    ) -> None:
        """As of any module; None for a state whose shape the first call decides.

        Args:
            name: of the buffer.
            tensor: its first value.
            persistent: whether `state_dict()` has it.
            task_axes: of such a state, those that go over the tasks, without leading axes.
        """
        if tensor is None:
            self.task_axes[name] = task_axes
        super().register_buffer(name, tensor, persistent)

    def noted(self, gram: Tensor) -> Tensor:
        """`worst_residual`, for a solver of this matrix to raise."""
        worst = self._buffers["worst_residual"]
        if worst is not None and worst.dtype is torch.float64 and worst.device == gram.device:
            return worst
        if gram.is_meta:
            return gram.new_zeros(())
        self.worst_residual = self.worst_residual.to(gram.device, torch.float64)
        return self.worst_residual

    def remembered(self, name: str, initial: Tensor) -> Tensor:
        """The state `name`: `initial` at the first call, then what `remember` left.

        Where the state is NaN, as `of_tasks` makes it for a task that is new, it is the initial one, too.

        Args:
            name: of a buffer, registered as None in the constructor.
            initial: its first value, in the shape of all later ones.

        Raises:
            ValueError: the method has been used with other numbers of tasks or leading axes.
        """
        value = getattr(self, name)
        if value is None:
            value = initial.clone()
            setattr(self, name, value)
        elif value.shape != initial.shape:
            used, got = list(value.shape), list(initial.shape)
            raise ValueError(f"{self} has been used with a {name} of shape {used}, got {got}: make a new one")
        else:
            value.copy_(torch.where(value.isnan(), initial, value))
        return value

    def remember(self, name: str, value: Tensor) -> None:
        """Replaces the state `name`, but for rows (last axis) that are not finite: a bad step leaves no trace."""
        old = getattr(self, name)
        old.copy_(torch.where(value.isfinite().all(-1, keepdim=True), value, old))

    def extra_repr(self) -> str:
        """The constructor's arguments."""
        names = inspect.signature(type(self)).parameters
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in names)

    def _checked(self, gram: Tensor | None, losses: Tensor | None) -> Tensor:
        """Shapes and what the method needs; the Gram matrix, zeros for a method that can do without."""
        if self.needs_losses and losses is None:
            raise ValueError(f"{self} needs losses")
        if gram is None:
            if self.needs_gram or losses is None:
                raise ValueError(f"{self} needs {'a Gram matrix' if self.needs_gram else 'a Gram matrix or losses'}")
            gram = losses.new_zeros(()).expand(*losses.shape, losses.shape[-1])
        _check_shapes(gram, losses)
        return gram

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if self.task_names is not None:
            destination[prefix + "task_names"] = list(self.task_names)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *arguments: Any) -> None:
        names = state_dict.pop(prefix + "task_names", None)
        self.task_names = None if names is None else tuple(names)
        # State that is not there yet takes the saved shape; state that was not there when saving goes.
        for name in self.task_axes:
            saved = state_dict.get(prefix + name)
            if saved is None or self._buffers[name] is None:
                setattr(self, name, None if saved is None else saved.clone())
        super()._load_from_state_dict(state_dict, prefix, *arguments)


class CoordinateMethod(nn.Module, ABC):
    """A rule that looks at each coordinate of the gradients by itself, so that no Gram matrix determines it.

    As `Method` in all else: state in buffers, no synchronisation, no gradient.
    """

    @abstractmethod
    def forward(self, gradients: Tensor, losses: Tensor | None = None) -> Tensor:
        """The update.

        Args:
            gradients: of the tasks, `[..., T, P]`, floating point; any part of the coordinates will do.
            losses: `[..., T]`.

        Returns:
            `[..., P]`, NaN in a coordinate where a gradient is NaN or infinite.
        """


def check_finite(gram: Tensor | None, losses: Tensor | None) -> None:
    """Name the first task whose gradient or loss is not finite, of those given.

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
        raise ValueError(f"the {what} of task {task}{where} is not finite: {values[(*batch, task)].item()}")


def check_positive(method: Method, losses: Tensor | None) -> None:
    """Name the first task whose loss is not positive, if the method needs that.

    Raises:
        ValueError: there is one.
    """
    if not method.positive_losses or losses is None or bool((losses > 0).all()):
        return
    *batch, task = (~(losses > 0)).nonzero()[0].tolist()
    where = f" of matrix {batch}" if batch else ""
    raise ValueError(f"{method} needs positive losses, got {losses[(*batch, task)].item()} for task {task}{where}")


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
