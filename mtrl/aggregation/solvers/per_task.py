"""Hyper-parameters that are one number per task."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor


class Numbers(tuple[float, ...]):
    """One number per task, as a method keeps them."""


def numbers(values: Sequence[float] | None) -> Numbers | None:
    """The numbers that a user gives, as a method keeps them."""
    return None if values is None else Numbers(float(value) for value in values)


def checked_preference(method: str, preference: Sequence[float] | None) -> Numbers | None:
    """Numbers that are not negative, and not all zero.

    Raises:
        ValueError: they are, or not finite.
    """
    kept = numbers(preference)
    if kept is not None and not (all(0 <= p < math.inf for p in kept) and any(kept)):
        raise ValueError(f"{method} needs a preference >= 0 per task, not all 0, got preference={list(kept)}")
    return kept


def per_task(method: str, name: str, values: tuple[float, ...] | None, default: float, like: Tensor) -> Tensor:
    """One number for each task, in the shape of `like`, `[..., T]`; `default` without values.

    Raises:
        ValueError: there is not one for each task.
    """
    if values is None:
        return like.new_full(like.shape, default)
    check_number(method, name, values, like.shape[-1])
    return torch.tensor(values, dtype=like.dtype, device=like.device).expand(like.shape)


def check_number(method: str, name: str, values: Sequence[float], tasks: int) -> None:
    """Whether there is one for each task.

    Raises:
        ValueError: there is not.
    """
    if len(values) != tasks:
        rule = f"{method} needs one number in {name} per task, got {len(values)} for {tasks} tasks"
        order = (
            ": they go by the order in which tasks first appear, all in the first call, with None for an absent loss"
        )
        raise ValueError(rule + (order if len(values) > tasks else ""))
