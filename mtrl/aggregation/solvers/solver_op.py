"""Solvers as operators of torch: one node in a compiled graph, whatever happens inside."""

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

LIBRARY = torch.library.Library("mtrl", "DEF")
SOLVERS: dict[str, Callable[..., Tensor]] = {}
"""The functions as they are written, by name."""


def solver(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Make an operator `mtrl::name` of a solver that is written for tensors and numpy arrays alike.

    On the host the function gets numpy arrays (a third of torch's overhead, and values may be read: a loop ends when
    it is done, a guess is checked). On other devices it gets tensors and must read no value; on `meta` too, which
    proves it. `torch.compile` sees a node with a shape, `torch.vmap` another leading axis.

    Args:
        function: of a Gram matrix `[..., T, T]`, float64, perhaps tensors `[..., *]` with the same leading axes, and
            numbers. Its result has the shape of the last tensor, or `[..., T]` if the matrix is the only one. Numpy
            arrays come with exactly one leading axis. An argument `worst`, a scalar, is written to: see `note`.
    """
    name = function.__name__
    SOLVERS[name] = function
    mutated = [name for name in inspect.signature(function).parameters if name == "worst"]
    LIBRARY.define(name + torch.library.infer_schema(function, mutates_args=mutated), tags=torch.Tag.pt2_compliant_tag)
    operator = getattr(torch.ops.mtrl, name).default

    def on_host(*arguments: Any) -> Tensor:
        arrays = [x.numpy() if isinstance(x, Tensor) else x for x in arguments]
        batch = arrays[0].shape[:-2]
        if len(batch) != 1:
            axes, length = len(batch), math.prod(batch)
            arrays = [x.reshape(length, *x.shape[axes:]) if isinstance(x, np.ndarray) and x.ndim else x for x in arrays]
        with np.errstate(all="ignore"):  # what is not finite stays so
            result: Any = function(*arrays)
        return torch.from_numpy(result.reshape(*batch, *result.shape[1:]))

    def shape(gram: Tensor, *arguments: Any) -> Tensor:
        if gram.device.type == "meta":
            return function(gram, *arguments)
        tensors = [x for x in arguments if isinstance(x, Tensor) and x.ndim]
        return torch.empty_like(tensors[-1] if tensors else gram[..., 0], memory_format=torch.contiguous_format)

    def lifted(info: Any, axes: tuple[int | None, ...], *arguments: Any) -> tuple[Tensor, int]:
        fronted = [
            x
            if not isinstance(x, Tensor) or x.ndim == 0
            else x.expand(info.batch_size, *x.shape)
            if axis is None
            else x.movedim(axis, 0)
            for x, axis in zip(arguments, axes, strict=True)
        ]
        return operator(*fronted), 0

    LIBRARY.impl(name, on_host, "CPU")
    LIBRARY.impl(name, function, "CUDA")
    torch.library.register_fake(f"mtrl::{name}", shape, lib=LIBRARY)
    torch.library.register_vmap(f"mtrl::{name}", lifted, lib=LIBRARY)
    return operator


def note(worst: Any, residual: Any) -> None:
    """Raise `worst`, a scalar, to the largest of the residuals; a NaN, of a matrix that is not finite, does not count.

    Args:
        worst: None to let it be.
        residual: of any shape.
    """
    if worst is None:
        return
    if not isinstance(worst, Tensor):
        top = residual.max(initial=0.0)
        if not top <= worst:
            worst[...] = top if top == top else np.nanmax(residual, initial=worst)
    elif residual.numel():
        worst.copy_(torch.maximum(worst, residual.nan_to_num(0.0, torch.inf).amax()))
