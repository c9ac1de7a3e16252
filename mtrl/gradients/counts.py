"""Counts that a user gives: `update_every`, `chunk_size`."""

from __future__ import annotations

import operator


def check_count(name: str, given: int) -> None:
    """Whether this is a whole number of at least 1; Python's, numpy's, or a tensor.

    Raises:
        TypeError: it is no whole number.
        ValueError: it is less.
    """
    try:
        number = operator.index(given)
    except TypeError:
        raise TypeError(f"{name} needs to be a whole number, got {name}={given!r}") from None
    if number < 1:
        raise ValueError(f"{name} needs to be at least 1, got {name}={given}")
