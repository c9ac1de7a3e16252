"""What was saved into what is there: of the same shape and finite, or not at all."""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer


def copy_checked(name: str, tensors: Iterable[Tensor], saved: Iterable[Tensor]) -> None:
    """Copies one list of tensors into another.

    Raises:
        ValueError: a number of tensors, a shape or a kind of number differs, or one of the numbers is not finite.
    """
    there, found = list(tensors), list(saved)
    check_like(name, there, found)
    check_finite(name, found)
    with torch.no_grad():
        for tensor, value in zip(there, found, strict=True):
            tensor.copy_(value)


def check_like(name: str, tensors: Iterable[Tensor], saved: Iterable[object]) -> None:
    """Refuses saved tensors that cannot take the place of others; their numbers may be any.

    Raises:
        ValueError: a number of tensors, a shape or a kind of number differs.
    """
    for index, (tensor, value) in enumerate(zip(tensors, saved, strict=True)):
        if not isinstance(value, Tensor) or value.shape != tensor.shape or value.dtype != tensor.dtype:
            got = f"{value.dtype} {list(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
            raise ValueError(f"{name} {index} must be {tensor.dtype} {list(tensor.shape)}, got {got}")


def copied_array(name: str, like: np.ndarray, saved: object, least: float = -np.inf) -> np.ndarray:
    """A copy of a saved array that takes the place of another one.

    Raises:
        ValueError: it has another shape or kind of number, or one that is not finite or below the least.
    """
    if not isinstance(saved, np.ndarray) or saved.shape != like.shape or saved.dtype != like.dtype:
        got = f"{saved.dtype} {list(saved.shape)}" if isinstance(saved, np.ndarray) else type(saved).__name__
        raise ValueError(f"{name} must be {like.dtype} {list(like.shape)}, got {got}")
    if not (np.isfinite(saved).all() and (saved >= least).all()):
        rule = "" if least == -np.inf else f" and at least {least:g}"
        raise ValueError(f"{name} must be finite{rule}, got {saved.tolist()}")
    return saved.copy()


def finite(name: str, value: object) -> float:
    """A saved value that must be a finite number.

    Raises:
        ValueError: it is none, or not finite.
    """
    if not (type(value) is int or type(value) is float) or not math.isfinite(value):
        raise ValueError(f"{name} must be a finite number, got {value!r}")
    return value


def whole(name: str, value: object) -> int:
    """A saved value that must count something.

    Raises:
        ValueError: it does not.
    """
    if type(value) is not int or value < 0:
        raise ValueError(f"{name} must be a whole number >= 0, got {value!r}")
    return value


def check_finite(name: str, tree: Any) -> None:
    """Refuses trees that hold a tensor with NaN or infinity.

    Raises:
        ValueError: names the tree.
    """
    if not all(bool(tensor.isfinite().all()) for tensor in _tensors(tree)):
        raise ValueError(f"{name} has numbers that are not finite")


def load_optimizer(name: str, optimizer: Optimizer, saved: Mapping[str, Any]) -> None:
    """Loads an optimizer's state, and looks at shapes as `optimizer.load_state_dict` does not.

    Raises:
        ValueError: the state is of other parameters, or not finite.
    """
    check_finite(name, saved["state"])
    optimizer.load_state_dict(dict(saved))
    for parameter, state in optimizer.state.items():
        for key, value in state.items():
            if isinstance(value, Tensor) and value.ndim and value.shape != parameter.shape:
                raise ValueError(f"{name}: {key} must be {list(parameter.shape)}, got {list(value.shape)}")


def _tensors(tree: Any) -> Iterator[Tensor]:
    if isinstance(tree, Tensor):
        yield tree
    elif isinstance(tree, Mapping):
        for value in tree.values():
            yield from _tensors(value)
    elif isinstance(tree, list | tuple):
        for value in tree:
            yield from _tensors(value)
