"""How large gradients are: their entries, their length, in which dtype they are summed."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

SMALL = 4096
"""Entries of a row."""


def largest_entry(gradients: Iterable[Tensor | None], like: Tensor, rows: int | None = None) -> Tensor:
    """The largest magnitude among the entries of all gradients together; NaN if one is NaN.

    Args:
        gradients: None counts as zero.
        like: gives dtype and device of the result.
        rows: None for one number; or how many rows each gradient has, to give one number for each, `[rows]`.
    """
    there = [entries_of(gradient) for gradient in gradients if gradient is not None and gradient.numel() > 0]
    if not there:
        return like.new_zeros(() if rows is None else rows)
    by_row = [entries.reshape(1 if rows is None else rows, -1) for entries in there]
    # Small ones together: there are many, and a call costs more than their entries.
    small = [entries for entries in by_row if entries.shape[1] <= SMALL]
    ends = [(torch.cat(small, 1) if len(small) > 1 else small[0]).abs().amax(1)] if small else []
    # On a CPU much faster than the largest magnitude, than a norm, and than both at once.
    for entries in by_row:
        if entries.shape[1] > SMALL:
            ends += [entries.amin(1), entries.amax(1)]
    largest = (torch.stack(ends).abs().amax(0) if len(ends) > 1 else ends[0]).to(like)
    return largest[0] if rows is None else largest


def power_of_two(size: Tensor, dtypes: Iterable[torch.dtype]) -> Tensor:
    """A power of two of about each size, 1 for zero, NaN for what is not finite, in the range of the dtypes."""
    least = max(torch.finfo(dtype).tiny for dtype in dtypes)
    mantissa = torch.frexp(size).mantissa
    return torch.where(mantissa == 0, 1.0, size / mantissa).clamp(least, 1 / least)


def by_task(numbers: Tensor, leaf: Tensor) -> Tensor:
    """`[T]` as factors of a leaf `[T, *shape]`."""
    return numbers.to(leaf.dtype).view(-1, *[1] * (leaf.ndim - 1))


def wide(x: Tensor) -> Tensor:
    """The numbers in float32 if they are of 16 bits, whose sums and products would round; else as they are."""
    return x.float() if x.is_floating_point() and x.dtype.itemsize < 4 else x


def length(gradients: Iterable[Tensor | None]) -> Tensor:
    """The Euclidean length of all gradients together, scalar, float64."""
    lengths = [
        torch.linalg.vector_norm(entries_of(gradient), dtype=torch.float64)
        for gradient in gradients
        if gradient is not None
    ]
    return torch.linalg.vector_norm(torch.stack(lengths)) if lengths else torch.zeros((), dtype=torch.float64)


def entries_of(gradient: Tensor) -> Tensor:
    """The gradient's entries as real numbers; of a sparse tensor, those that it has."""
    if gradient.is_sparse:
        gradient = gradient.coalesce().values()
    return torch.view_as_real(gradient.resolve_conj()) if gradient.is_complex() else gradient
