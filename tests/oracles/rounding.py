"""A processor whose matrix products round otherwise for every shape, as real ones do between one matrix and several."""

import functools
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

PRODUCTS = ("mm", "bmm", "addmm", "baddbmm")


@contextmanager
def rounding_by_shape() -> Iterator[None]:
    """Each entry of a product is off by up to two units in the last place, decided by where it is and by all shapes.

    What is the same call on the same shapes stays the same to the last digit; nothing else does.
    """
    with torch.library._scoped_library("aten", "IMPL") as library, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="(?s).*[Oo]verriding a previously registered kernel")
        for name in PRODUCTS:
            library.impl(name, _rounded(name), "CPU")
        yield


def _rounded(name: str) -> Callable[..., Tensor]:
    into = getattr(torch.ops.aten, name).out  # keeps its kernel

    def product(*arguments: Any, **keywords: Any) -> Tensor:
        exact = into(*arguments, **keywords, out=arguments[0].new_empty(0))
        shapes = tuple(tuple(x.shape) for x in arguments if isinstance(x, Tensor))
        return exact * _factors(name, shapes, tuple(exact.shape), exact.dtype)

    return product


@functools.cache
def _factors(name: str, shapes: tuple[tuple[int, ...], ...], shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    draw = np.random.default_rng(zlib.crc32(repr((name, shapes)).encode()))
    return (1 + torch.finfo(dtype).eps * torch.from_numpy(draw.integers(-2, 3, shape))).to(dtype)
