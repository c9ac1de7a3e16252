"""Gradients of every task where each sample of a batch is a task: all of them from one backward pass.

Axes: `T` tasks, that is samples; a layer has `N` rows, some of each task.

If samples go through a model by themselves, the gradient at a row of a layer's outputs, of the sum of the losses, is
that of its own sample's loss; the parameters' gradients follow from those rows (`own_rows`).

That samples do is not assumed but seen. In another pass or two each loss is multiplied by a power of two, so that the
gradients at its own rows are multiplied by just that, bit for bit; a batch normalisation, or an attention from sample
to sample, gives something else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge

from mtrl.gradients.layer_nodes import Embedding, Layer
from mtrl.gradients.leaves import Leaf
from mtrl.gradients.own_rows import Order
from mtrl.gradients.row_nodes import RowWise
from mtrl.gradients.sample_plan import SamplePlan, plan_samples
from mtrl.gradients.shared_forward import Passes, vector_jacobian
from mtrl.gradients.size import power_of_two

CODES = 48
"""Powers of two in a pass, from 1 on: float32 has room for them."""
Place = Layer | RowWise


class _Seen(NamedTuple):
    """What a pass has shown of each use of a parameter."""

    deltas: dict[Place, Tensor]
    """`[N, O]`, of the sum of the losses at the outputs."""
    orders: dict[Place, Order]
    others: list[Tensor | None]
    """Gradients of other tensors that were asked for."""


def sample_passes(
    roots: Sequence[GradientEdge | None],
    shared: Sequence[Tensor],
    heads: Sequence[Tensor],
    factor: Tensor,
) -> Passes | None:
    """What `task_passes` gives; None if tasks are not samples that go through the model alone. Keeps the graph."""
    there = [root for root in roots if root is not None]
    plan = plan_samples(there, {str(i): x for i, x in enumerate(shared)}) if len(there) == len(roots) else None
    if plan is None:
        return None
    edges = [*plan.edges.values()]
    # Losses that are no samples' mostly show next to them, where a pass costs little.
    if _looked_at(plan, there, factor, edges[:1], ()) is None:
        return None
    seen = _looked_at(plan, there, factor, edges, heads)
    if seen is None:
        return None
    sizes = [order.by_task(seen.deltas[use]).abs().amax((1, 2)).double() for use, order in seen.orders.items()]
    dtypes = {delta.dtype for delta in seen.deltas.values()}
    unit = power_of_two(torch.stack(sizes).amax(0), dtypes)
    for use, delta in seen.deltas.items():
        delta.div_(seen.orders[use].by_row(unit, len(delta)).to(delta.dtype))
    found = plan.leaves(seen.deltas, seen.orders)
    leaves: list[Leaf] = [found.get(str(i), x.new_zeros(()).expand(len(roots), *x.shape)) for i, x in enumerate(shared)]
    sparse = [
        any(isinstance(use, Embedding) and use.sparse for use in plan.weights.get(str(i), ()))
        for i in range(len(shared))
    ]
    return Passes(leaves, unit, dtypes, sparse, seen.others, torch.zeros_like(unit))


def _looked_at(
    plan: SamplePlan,
    roots: Sequence[GradientEdge],
    factor: Tensor,
    edges: Sequence[GradientEdge],
    others: Sequence[Tensor],
) -> _Seen | None:
    """The gradients at some of the edges, if each row there is of one task."""
    T, plain = len(roots), factor.expand(len(roots))
    found = vector_jacobian(roots, plain, [*edges, *others], retain_graph=True)
    deltas = _by_row(plan, edges, found, T)
    orders = {use: [Order(T, True), Order(T, False)] for use in deltas or ()}
    for code in _codes(T, factor.device):
        if deltas is None or not all(orders.values()):
            return None
        coded = _by_row(plan, edges, vector_jacobian(roots, plain * code, edges, retain_graph=True), T)
        if coded is None:
            return None
        orders = {
            use: [order for order in orders[use] if _multiplied(delta, order.by_row(code, len(delta)), coded[use])]
            for use, delta in deltas.items()
        }
    if deltas is None or not all(orders.values()):
        return None
    return _Seen(deltas, {use: kept[0] for use, kept in orders.items()}, found[len(edges) :])


def _by_row(
    plan: SamplePlan, edges: Sequence[GradientEdge], found: Sequence[Tensor | None], num_tasks: int
) -> dict[Place, Tensor] | None:
    """The gradient at each use's outputs, `[N, O]`; None if one has none, or not as many rows of each task."""
    at = {edge.node: gradient for edge, gradient in zip(edges, found, strict=False)}
    rows: dict[Place, Tensor] = {}
    for use in plan.uses:
        if use.edge.node not in at:
            continue
        gradient = at[use.edge.node]
        if gradient is None or (isinstance(use, RowWise) and not use.fits(gradient)):
            return None
        rows[use] = use.by_row(gradient).clone()
        if len(rows[use]) == 0 or len(rows[use]) % num_tasks:
            return None
    return rows


def _codes(num_tasks: int, device: torch.device) -> Iterator[Tensor]:
    """Powers of two, `[T]` each, in which no two tasks agree every time."""
    digits = torch.arange(num_tasks, device=device)
    while int(num_tasks) > 0:
        yield torch.exp2((digits % CODES).float())
        digits, num_tasks = digits // CODES, (num_tasks - 1) // CODES


def _multiplied(rows: Tensor, factors: Tensor, product: Tensor) -> bool:
    """Whether it is the product, but for what float32 has no room for, beside entries that tell."""
    none = 2**24 * torch.finfo(torch.float32).tiny
    size = rows.abs().amax()
    difference = product / factors.to(product.dtype) - rows
    return bool(((difference.abs() <= none) & ((size == 0) | (size > 2**24 * none))).all())
