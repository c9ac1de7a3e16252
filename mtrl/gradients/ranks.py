"""What several processes have to agree on before they average anything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor

from mtrl.aggregation.method import AnyMethod
from mtrl.gradients.average import Average
from mtrl.gradients.loss_graph import LossGraph
from mtrl.gradients.walk import leaves, reached

Made = TypeVar("Made")
Plan = tuple[LossGraph, list[int], int]
ENTRIES = 1024
"""Most entries of a parameter that are looked at to tell it from another."""


def agreed(plan: Callable[[], Plan], method: AnyMethod | None, average: Average, check: bool) -> Plan:
    """The plan of a step, in which a task or parameter is there if it is on any rank.

    Args:
        plan: makes this rank's.
        method: of the step; None: gradients are only collected.
        average: over the ranks.
        check: whether to compare the plans first.

    Raises:
        ValueError: on every rank, if the plans differ or one failed.
    """
    graph, rows, total = alike(plan, lambda made: _said(made, method), average, check)
    if check:
        _check_parameters(graph, average)
    tasks = len(graph.present)
    of_ranks = average.everyone([*graph.present, *graph.reached], graph.shared[0].device)
    if check and not graph.named:
        _check_found([of_rank[:tasks] for of_rank in of_ranks], graph, average)
    bits = [any(of_all) for of_all in zip(*of_ranks, strict=True)]
    return replace(graph, present=bits[:tasks], reached=bits[tasks:]), rows, total


def alike(make: Callable[[], Made], said: Callable[[Made], str], average: Average, check: bool) -> Made:
    """What this rank makes, if all ranks can make it and say the same of it.

    Args:
        make: may raise a TypeError or ValueError.
        said: what is to be the same.
        average: over the ranks.
        check: whether to compare; a failure is told in any case.

    Raises:
        ValueError: on every rank, if one failed or they do not say the same.
    """
    failure: TypeError | ValueError | None = None
    made: Made | None = None
    try:
        made = make()
    except (TypeError, ValueError) as error:
        failure = error
    if check or failure is not None:
        average.agree(said(made) if made is not None else f"{type(failure).__name__}: {failure}")
    if made is None:
        assert failure is not None
        raise failure
    return made


def anywhere(bits: Sequence[bool], average: Average, device: torch.device) -> list[bool]:
    """Which of the bits are set on some rank."""
    return [any(of_ranks) for of_ranks in zip(*average.everyone(bits, device), strict=True)]


def _said(plan: Plan, method: AnyMethod | None) -> str:
    graph, rows, total = plan
    shapes = [[(list(p.shape), str(p.dtype)) for p in parameters] for parameters in (graph.shared, graph.heads)]
    count = None if method is None else method.held_for
    step = "collect" if method is None else method
    return (
        f"{step}, {len(rows)} losses at {rows} of {total}, {len(graph.features)} features, "
        f"weights kept for {None if count is None else int(count)} calls, shared {shapes[0]}, heads {shapes[1]}"
    )


def _check_parameters(graph: LossGraph, average: Average) -> None:
    """Whether the ranks train the same parameters, also as heads that each found by itself: by their values."""
    device = graph.shared[0].device
    mine = torch.stack([_mark(p).to(device) for p in (*graph.shared, *graph.heads)])
    mean = mine.clone()
    average([mean])
    differ = ((mine - mean).abs() > 1e-3 * mean.abs() + 1e-12).any(1).tolist()
    count = len(graph.shared)
    of_shared, of_heads = anywhere([any(differ[:count]), any(differ[count:])], average, device)
    if of_shared:
        raise ValueError("the ranks' shared parameters are not the same: give all ranks the same first parameters")
    if of_heads:
        raise ValueError(
            "the ranks reach different heads, or their parameters have drifted apart: "
            "give heads, so that each parameter is known by its place"
        )


def _check_found(present: Sequence[Sequence[int]], graph: LossGraph, average: Average) -> None:
    """Whether heads that each rank found are the same, where ranks lack tasks: by the tasks of all that reach them.

    Their values may not tell: copies of one head begin with the same.
    """
    if len({tuple(of_rank) for of_rank in present}) == 1 or not graph.heads:
        return
    of_all = [task for task, bits in enumerate(zip(*present, strict=True)) if all(bits)]
    reached_by = [{id(leaf) for leaf in leaves(reached([root], ()))} for root in graph.losses.of(of_all).roots if root]
    marks = [[int(id(head) in there) for there in reached_by] for head in graph.heads]
    everyone = average.everyone([mark for of_head in marks for mark in of_head], graph.shared[0].device)
    if not all(map(any, marks)) or any(of_rank != everyone[0] for of_rank in everyone):
        raise ValueError(
            "the ranks have losses of other tasks, so that the heads which each reaches may be others: "
            "give heads, so that each parameter is known by its place"
        )


def _mark(parameter: Tensor) -> Tensor:
    entries = parameter.detach().flatten()[:ENTRIES]
    entries = (torch.view_as_real(entries) if entries.is_complex() else entries).double().flatten()
    return torch.stack((entries.mean(), (entries * torch.arange(1, len(entries) + 1, device=entries.device)).mean()))
