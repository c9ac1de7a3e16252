"""How large gradients are: their entries, their length."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor


def largest_entry(gradients: Iterable[Tensor | None], like: Tensor, rows: int | None = None) -> Tensor:
    """The largest magnitude among the entries of all gradients together; NaN if one is NaN.

    Args:
        gradients: None counts as zero.
        like: gives dtype and device of the result.
        rows: None for one number; or how many rows each gradient has, to give one number for each, `[rows]`.
    """
    lows: list[Tensor] = []
    highs: list[Tensor] = []
    for gradient in gradients:
        if gradient is None or gradient.numel() == 0:
            continue
        entries = entries_of(gradient)
        by_row = entries.reshape(1 if rows is None else rows, -1)
        # On a CPU much faster than the largest magnitude, than a norm, and than both at once.
        lows.append(by_row.amin(1))
        highs.append(by_row.amax(1))
    if not lows:
        return like.new_zeros(() if rows is None else rows)
    largest = torch.maximum(-torch.stack(lows).amin(0), torch.stack(highs).amax(0)).to(like)
    return largest[0] if rows is None else largest


def power_of_two(size: Tensor, leaves: Sequence[Tensor]) -> Tensor:
    """A power of two of about each size, 1 for zero, NaN for what is not finite, in the range of the leaves' dtypes."""
    least = max(torch.finfo(leaf.dtype).tiny for leaf in leaves)
    mantissa = torch.frexp(size).mantissa
    return torch.where(mantissa == 0, 1.0, size / mantissa).clamp(least, 1 / least)


def by_task(numbers: Tensor, leaf: Tensor) -> Tensor:
    """`[T]` as factors of a leaf `[T, *shape]`."""
    return numbers.to(leaf.dtype).view(-1, *[1] * (leaf.ndim - 1))


def length(gradients: Iterable[Tensor | None]) -> Tensor:
    """The Euclidean length of all gradients together, scalar, float64."""
    lengths = [
        torch.linalg.vector_norm(entries_of(gradient), dtype=torch.float64)
        for gradient in gradients
        if gradient is not None
    ]
    return torch.linalg.vector_norm(torch.stack(lengths)) if lengths else torch.zeros((), dtype=torch.float64)


def entries_of(gradient: Tensor) -> Tensor:
    """As real numbers; of a sparse tensor, those that it has."""
    if gradient.is_sparse:
        gradient = gradient.coalesce().values()
    return torch.view_as_real(gradient.resolve_conj()) if gradient.is_complex() else gradient
