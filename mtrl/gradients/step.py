"""How a step's gradients are made: per task and aggregated, or, with weights that are known, in one pass.

Axes: `T` tasks, those that are there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor
from torch.amp import GradScaler

from mtrl.aggregation import CoordinateMethod, GradientMethod, LossMethod, Method
from mtrl.aggregation.method import check_finite, check_positive
from mtrl.gradients.finite import Watch, check_gradients, of_absent
from mtrl.gradients.loss_graph import Gradients, LossGraph
from mtrl.gradients.size import largest_entry, length
from mtrl.gradients.update_length import Scale, length_factor

RESIDUAL = 1e-3
"""A larger residual of a method's optimality condition says that its weights are no solution."""


class Options(NamedTuple):
    """What a user asks of `backward`'s step."""

    chunk_size: int
    scale: Scale
    max_norm: float | None
    scaler: GradScaler | None
    retain_graph: bool
    check: bool


class Taken(NamedTuple):
    """A step that is ready to be put into `.grad`."""

    weights: Tensor
    """`[T]`; NaN from a coordinate-wise rule."""
    kept_weights: Tensor
    """`[T]`, those to be used again: without what `max_norm` took off."""
    of_shared: Gradients
    of_heads: Gradients


class Made(NamedTuple):
    """Gradients with the scaler's factor, before their length is looked at."""

    weights: Tensor
    of_shared: Gradients
    of_heads: Gradients
    mean: Gradients | None
    """The shared gradients of the mean of the losses, if they were asked for."""
    watched: Sequence[Watch]
    """The passes of several tasks together."""


def take_step(graph: LossGraph, method: Method | CoordinateMethod, held: Tensor | None, options: Options) -> Taken:
    """Gradients of the shared parameters and of the heads.

    Args:
        graph: of the losses.
        method: its state moves on, if it is asked.
        held: `[T]`, weights that are used again; None: the method is asked.
        options: of the step.

    Raises:
        ValueError: a loss or gradient is not finite, or a loss not positive though the method needs that, or the method
            was not solved.
    """
    values, factor, check = begun(graph, options.scaler, options.check)
    options = options._replace(check=check)
    if check:
        check_positive(method, values, graph.losses.numbers)
    if held is not None:
        made = _weighted(graph, method, held, factor, options._replace(scale=None))
    elif isinstance(method, LossMethod):
        made = _weighted(graph, method, method(None, values), factor, options)
    else:
        made = _aggregated(graph, method, values, factor, options)
    if options.check:
        _check(graph, made)
    # Weights that are reused have the scale `"mean"` of when they were found.
    scale = None if held is not None and options.scale == "mean" else options.scale
    return lengthened(made, factor, scale, options.max_norm)


def begun(graph: LossGraph, scaler: GradScaler | None, check: bool) -> tuple[Tensor, Tensor, bool]:
    """The losses' values, `[T]`, float64, over all ranks; the factor on the gradients; whether these are to be checked.

    Raises:
        ValueError: a loss is not finite.
    """
    scaler = scaler if scaler is not None and scaler.is_enabled() else None
    check = check and scaler is None
    # Of one kind on all ranks, also on one without any task.
    values = graph.losses.values.to(graph.shared[0].device, torch.float64, copy=True)
    graph.mean([values])
    if check:
        check_finite(None, values, graph.losses.numbers)
    one = values.new_ones((), dtype=torch.float32)
    # Through `scaler.scale`, which also makes the scaler ready for its `step`.
    return values, one if scaler is None else scaler.scale(one), check


def _weighted(
    graph: LossGraph, method: Method | CoordinateMethod, weights: Tensor, factor: Tensor, options: Options
) -> Made:
    """The gradients of weights that are known: a plain backward pass."""
    keep, watch = options.retain_graph, options.check
    mean = None
    if options.scale == "mean":
        mean, _ = graph.weighted(torch.full_like(weights, 1 / len(weights)) * factor, graph.shared, True, False)
    if method.weighs_heads:
        both, watched = graph.weighted(weights * factor, [*graph.shared, *graph.heads], keep, watch)
        return Made(weights, both[: len(graph.shared)], both[len(graph.shared) :], mean, [watched])
    of_heads, watched = graph.weighted(torch.ones_like(weights) * factor, graph.heads, True, watch)
    of_shared, more = graph.weighted(weights * factor, graph.shared, keep, watch)
    return Made(weights, of_shared, of_heads, mean, [watched, more])


def _aggregated(
    graph: LossGraph, method: Method | CoordinateMethod, values: Tensor, factor: Tensor, options: Options
) -> Made:
    """The gradients of weights that the method makes of per-task gradients, which are collected first."""
    later = options.retain_graph or method.weighs_heads
    heads = [] if method.weighs_heads else graph.heads
    parted = not isinstance(method, GradientMethod)
    collected = graph.collect(options.chunk_size, factor, heads, later, parted, options.check)
    if options.check:
        check_gradients(collected.sizes, graph.losses.numbers, graph.losses.vector)
    compared = graph.compared(collected, parted)
    if options.check:
        check_gradients(compared.gram.diagonal(), graph.losses.numbers, graph.losses.vector)
    mean = None
    if options.scale == "mean":
        plain = compared.combine(torch.full_like(values, 1 / len(values)) * factor)
        mean = graph.of_shared(plain, collected.sparse, retain_graph=True)
    with certified(method, options.check):
        weights, direction = compared.direction(method, values, factor)
    of_shared = graph.of_shared(direction, collected.sparse, later)
    if not method.weighs_heads:
        return Made(weights, of_shared, collected.of_heads, mean, [])
    of_heads, watched = graph.weighted(weights * factor, graph.heads, options.retain_graph, options.check)
    return Made(weights, of_shared, of_heads, mean, [watched])


@contextmanager
def certified(method: Method | CoordinateMethod, check: bool) -> Iterator[None]:
    """Raises ValueError if a solve within ends far from its solution. The method keeps the worst of all its calls."""
    if not check:
        yield
        return
    before = method.worst_residual.clone()
    method.worst_residual.zero_()
    try:
        yield
    finally:
        now = method.worst_residual.clone()
        method.worst_residual.copy_(torch.maximum(before.to(now.device), now))
    if not bool(now <= RESIDUAL):
        raise ValueError(f"{method} was not solved for these gradients: its residual is {now.item():.1e}")


def lengthened(made: Made, factor: Tensor, scale: Scale, max_norm: float | None) -> Taken:
    """The step with the length that was asked for.

    Args:
        made: the gradients.
        factor: in them.
        scale: see `backward`.
        max_norm: see there.
    """
    weights = made.weights
    if scale is None and max_norm is None:
        return Taken(weights, weights, made.of_shared, made.of_heads)
    now = length(made.of_shared) / factor
    wanted = length(made.mean) / factor if made.mean is not None else 1.0 if scale == "unit" else scale
    assert not isinstance(wanted, str)
    whole = length_factor(now, wanted, max_norm)
    of_shared = [None if x is None else x * whole.to(x.device) for x in made.of_shared]
    kept = weights * length_factor(now, wanted, None)
    return Taken(weights * whole, kept, of_shared, made.of_heads)


def _check(graph: LossGraph, made: Made) -> None:
    """Raises ValueError if a gradient is not finite, naming the task if that is known."""
    like = torch.zeros((), dtype=torch.float64, device=graph.shared[0].device)
    size = largest_entry([*made.of_shared, *made.of_heads], like)
    if bool(size.isfinite()):
        return
    sums = torch.stack([like.expand(len(made.weights)), *(watched.sums(like) for watched in made.watched)])
    graph.mean([sums])
    check_gradients(sums, graph.losses.numbers, graph.losses.vector)
    cause = of_absent(graph.losses.vector)
    raise ValueError(f"the gradient of the weighted sum of the losses is not finite: {size.item()}{cause}")
