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
from mtrl.gradients.finite import Watch, check_gradients
from mtrl.gradients.leaves import TaskGradients
from mtrl.gradients.loss_graph import Collected, Gradients, LossGraph
from mtrl.gradients.size import by_task, largest_entry, length
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


class _Made(NamedTuple):
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
    scaler = options.scaler if options.scaler is not None and options.scaler.is_enabled() else None
    options = options._replace(check=options.check and scaler is None)
    # Of one kind on all ranks, also on one without any task.
    values = graph.losses.values.to(graph.shared[0].device, torch.float64, copy=True)
    graph.mean([values])
    if options.check:
        check_finite(None, values)
        check_positive(method, values)
    one = values.new_ones((), dtype=torch.float32)
    # Through `scaler.scale`, which also makes the scaler ready for its `step`.
    factor = one if scaler is None else scaler.scale(one)
    if held is not None:
        made = _weighted(graph, method, held, factor, options._replace(scale=None))
    elif isinstance(method, LossMethod):
        made = _weighted(graph, method, method(None, values), factor, options)
    else:
        made = _aggregated(graph, method, values, factor, options)
    if options.check:
        _check(graph, made)
    return _lengthened(made, factor, options, fixed=held is not None)


def _weighted(
    graph: LossGraph, method: Method | CoordinateMethod, weights: Tensor, factor: Tensor, options: Options
) -> _Made:
    """The gradients of weights that are known: a plain backward pass."""
    keep, watch = options.retain_graph, options.check
    mean = None
    if options.scale == "mean":
        mean, _ = graph.weighted(torch.full_like(weights, 1 / len(weights)) * factor, graph.shared, True, False)
    if method.weighs_heads:
        both, watched = graph.weighted(weights * factor, [*graph.shared, *graph.heads], keep, watch)
        return _Made(weights, both[: len(graph.shared)], both[len(graph.shared) :], mean, [watched])
    of_heads, watched = graph.weighted(torch.ones_like(weights) * factor, graph.heads, True, watch)
    of_shared, more = graph.weighted(weights * factor, graph.shared, keep, watch)
    return _Made(weights, of_shared, of_heads, mean, [watched, more])


def _aggregated(
    graph: LossGraph, method: Method | CoordinateMethod, values: Tensor, factor: Tensor, options: Options
) -> _Made:
    """The gradients of weights that the method makes of per-task gradients, which are collected first."""
    later = options.retain_graph or method.weighs_heads
    heads = [] if method.weighs_heads else graph.heads
    parted, later_or_features = not isinstance(method, GradientMethod), later or bool(graph.features)
    collected = graph.collect(options.chunk_size, factor, heads, later_or_features, parted, options.check)
    if options.check:
        check_gradients(collected.sizes)
    mean = None
    if options.scale == "mean":
        plain = collected.gradients.combine(collected.unit * factor / len(values))
        mean = graph.of_shared([*plain.values()], collected.sparse, retain_graph=True)
    with certified(method, options.check):
        weights, direction = _direction(collected, method, values, factor)
    of_shared = graph.of_shared(direction, collected.sparse, later)
    if not method.weighs_heads:
        return _Made(weights, of_shared, collected.of_heads, mean, [])
    of_heads, watched = graph.weighted(weights * factor, graph.heads, options.retain_graph, options.check)
    return _Made(weights, of_shared, of_heads, mean, [watched])


@contextmanager
def certified(method: Method | CoordinateMethod, check: bool) -> Iterator[None]:
    """Raises ValueError if a solve within ends far from its solution. The method keeps the worst of all its calls."""
    if not check:
        yield
        return
    before = method.worst_residual.clone()
    method.worst_residual.zero_()
    yield
    now = method.worst_residual.clone()
    method.worst_residual.copy_(torch.maximum(before.to(now.device), now))
    if bool(now > RESIDUAL):
        raise ValueError(f"{method} was not solved for these gradients: its residual is {now.item():.1e}")


def _direction(
    collected: Collected, method: Method | CoordinateMethod, values: Tensor, factor: Tensor
) -> tuple[Tensor, Sequence[Tensor]]:
    """Weights and what the method makes of the gradients, times the factor."""
    gradients, unit = collected.gradients, collected.unit
    if isinstance(method, GradientMethod):
        assert isinstance(gradients, TaskGradients)
        whole = {name: leaf.mul_(by_task(unit, leaf)) for name, leaf in gradients.whole().items()}
        direction, weights = method.direction(TaskGradients(whole), values)
        return weights, [x * factor for x in direction.values()]
    weights = method(collected.gram, values.double(), collected.eps)
    return weights, [*gradients.combine(weights * unit * factor).values()]


def _lengthened(made: _Made, factor: Tensor, options: Options, fixed: bool) -> Taken:
    """The step with the length that was asked for.

    Args:
        made: the gradients.
        factor: in them.
        options: of the step.
        fixed: whether the weights are those of an earlier step, with the scale `"mean"` of then.
    """
    weights, scale = made.weights, None if fixed and options.scale == "mean" else options.scale
    if scale is None and options.max_norm is None:
        return Taken(weights, weights, made.of_shared, made.of_heads)
    now = length(made.of_shared) / factor
    wanted = length(made.mean) / factor if made.mean is not None else 1.0 if scale == "unit" else scale
    assert not isinstance(wanted, str)
    whole = length_factor(now, wanted, options.max_norm)
    of_shared = [None if x is None else x * whole.to(x.device) for x in made.of_shared]
    kept = weights * length_factor(now, wanted, None)
    return Taken(weights * whole, kept, of_shared, made.of_heads)


def _check(graph: LossGraph, made: _Made) -> None:
    """Raises ValueError if a gradient is not finite, naming the task if that is known."""
    like = torch.zeros((), dtype=torch.float64, device=graph.shared[0].device)
    size = largest_entry([*made.of_shared, *made.of_heads], like)
    if bool(size.isfinite()):
        return
    sums = torch.stack([like.expand(len(made.weights)), *(watched.sums(like) for watched in made.watched)])
    graph.mean([sums])
    check_gradients(sums)
    raise ValueError(f"the gradient of the weighted sum of the losses is not finite: {size.item()}")
