"""Methods that look at the gradients themselves: their Gram matrix does not determine the update.

Axes: `T` tasks, `P` parameters of all leaves together; leading batch axes are written `...`.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor

from mtrl.aggregation.method import AnyMethod, Method, check_tensor
from mtrl.aggregation.task_state import check_names


class Gradients(Protocol):
    """The tasks' gradients leaf by leaf, as `mtrl.gradients.TaskGradients` has them."""

    def whole(self) -> Mapping[str, Tensor]:
        """The gradients by parameter name, `[..., T, *shape]`."""

    def with_leaves(self, leaves: Mapping[str, Tensor], /) -> "Gradients":
        """Gradients in the same form, with other leaves `[..., T, *shape]` by parameter name."""

    def gram(self) -> Tensor:
        """The inner products of the tasks' gradients, `[..., T, T]`."""

    def combine(self, weights: Tensor, /) -> dict[str, Tensor]:
        """`sum_i w_i g_i` by parameter name, of weights `[..., T]`."""


class GradientMethod(ABC):
    """A rule that is given the tasks' gradients and makes the update of them itself.

    A method is a `Method` as well, `class Mine(Method, GradientMethod)`, for calls on a Gram matrix alone, or a
    `CoordinateMethod`.
    """

    @abstractmethod
    def direction(self, gradients: Gradients, losses: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """The update.

        Args:
            gradients: of the tasks.
            losses: `[..., T]`.

        Returns:
            By parameter name, in the parameter's shape, leading axes first; weights of the tasks, `[..., T]`.
        """


class CoordinateMethod(AnyMethod, GradientMethod):
    """A rule that looks at each coordinate of the gradients by itself; subclasses are final and implement `forward`."""

    @abstractmethod
    def forward(self, gradients: Tensor, losses: Tensor | None = None) -> Tensor:
        """The update.

        Args:
            gradients: of the tasks, `[..., T, P]`, floating point; any part of the coordinates will do.
            losses: `[..., T]`.

        Returns:
            `[..., P]`, NaN in a coordinate where a gradient is NaN or infinite.
        """

    def direction(self, gradients: Gradients, losses: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """See `GradientMethod.direction`; weights are NaN, for there are none."""
        axes = losses.ndim
        updates = {
            name: self(in_columns(leaf, axes), losses).view(leaf.shape[: axes - 1] + leaf.shape[axes:])
            for name, leaf in gradients.whole().items()
        }
        return updates, torch.full_like(losses, torch.nan)

    def places(self, names: Sequence[str] | None, number: int) -> tuple[list[int], int]:
        """Tasks go by their places, for nothing is remembered of them."""
        if names is not None:
            check_names(names, number)
        return list(range(number)), number

    def learn(self, names: Sequence[str] | None) -> None:
        """Nothing: see `places`."""


def check_columns(gradients: Tensor) -> None:
    """Whether a coordinate-wise rule can be applied to these.

    Raises:
        TypeError: this is no tensor.
        ValueError: they are not `[..., T, P]`, or no real numbers.
    """
    check_tensor("gradients", gradients)
    if gradients.ndim < 2 or not gradients.dtype.is_floating_point:
        got = f"{list(gradients.shape)} in {gradients.dtype}"
        raise ValueError(f"gradients need the shape [..., T, P] and a floating-point dtype, got {got}")


def check_method(given: object) -> None:
    """Whether this is a method.

    Raises:
        TypeError: it is a name, a class or something else.
    """
    if not isinstance(given, Method | CoordinateMethod):
        raise TypeError(f"method needs to be an aggregation method such as NashMTL(), got {given!r}")


def why_not_reused(method: AnyMethod) -> str:
    """Why a method's weights are of no use with other gradients, as the end of a sentence; empty if they are."""
    if isinstance(method, CoordinateMethod):
        return "which has no weights to reuse"
    return "whose weights are for gradients that it remembers" if method.weighs_remembered else ""


def in_columns(leaf: Tensor, axes: int) -> Tensor:
    """`[..., T, P]` of a leaf with so many leading axes, of a scalar parameter (`P = 1`) too."""
    return leaf.reshape(*leaf.shape[:axes], math.prod(leaf.shape[axes:]))


def flatten(gradients: Mapping[str, Tensor], losses: Tensor) -> Tensor:
    """All leaves side by side, `[..., T, *shape]` to `[..., T, P]`, without gradient history; losses are `[..., T]`."""
    return torch.cat([in_columns(leaf.detach(), losses.ndim) for leaf in gradients.values()], -1)


def unflatten(flat: Tensor, like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `flatten`: `[..., T, P]` in the leaves of `like`."""
    sizes = [math.prod(leaf.shape[flat.ndim - 1 :]) for leaf in like.values()]
    parts = flat.split(sizes, -1)
    return {name: part.view_as(like[name]) for name, part in zip(like, parts, strict=True)}
