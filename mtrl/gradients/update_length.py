"""How long the update of the shared parameters is: `scale` and `max_norm` of `backward`."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor

Scale = Literal["mean", "unit"] | float | None
"""The length of the mean's gradient; 1; a length; what the method gives."""


def check_length(scale: Scale, max_norm: float | None) -> None:
    """Whether these are lengths.

    Raises:
        ValueError: one is not.
    """
    is_named = scale is None or (isinstance(scale, str) and scale in ("mean", "unit"))
    if not is_named and not _is_length(scale, below=math.inf):
        raise ValueError(f"scale needs to be 'mean', 'unit', a length > 0 or None, got scale={scale!r}")
    if max_norm is not None and not _is_length(max_norm):
        raise ValueError(f"max_norm needs to be > 0, got max_norm={max_norm!r}")


def _is_length(given: object, below: float | None = None) -> bool:
    """Whether it is one number above 0; Python's, numpy's, or a tensor."""
    number: Any = given
    try:
        return bool(number > 0) and (below is None or bool(number < below))
    except (TypeError, RuntimeError, ValueError):  # a text; several numbers, of torch or of numpy
        return False


def length_factor(length: Tensor, wanted: Tensor | float | None, max_norm: float | None) -> Tensor:
    """The factor on an update of this length.

    Args:
        length: scalar, float64.
        wanted: None for as it is; a length of zero stays zero.
        max_norm: the greatest length; None for any.
    """
    factor = torch.ones_like(length)
    if wanted is not None:
        factor = torch.where(length > 0, wanted / length, 1.0)
    if max_norm is not None:
        factor = factor * (max_norm / (length * factor)).clamp(max=1)
    return factor
