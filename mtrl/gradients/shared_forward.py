"""Per-task gradients of losses that share a forward pass: one backward pass through the shared part per task.

Axes: `T` tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge, Node, get_gradient_edge

from mtrl.gradients.autocast import outside_autocast
from mtrl.gradients.average import Average
from mtrl.gradients.counts import check_count
from mtrl.gradients.finite import Watch, owners
from mtrl.gradients.leaves import Leaf, TaskGradients
from mtrl.gradients.losses import TAKEN_APART, read_losses
from mtrl.gradients.size import by_task, largest_entry
from mtrl.gradients.stores import Stores
from mtrl.gradients.tensor_hooks import after_hooks, without_hooks


class Passes(NamedTuple):
    """What a backward pass per task found.

    Gradients are kept divided by a power of two of their task, about their largest entry: in 32 and 16 bits their
    inner products would else under- or overflow with the unit of the loss.
    """

    leaves: list[Leaf]
    """Gradients by each shared tensor, `[T, *shape]`, over the unit; complex ones as pairs of real numbers."""
    unit: Tensor
    """`[T]`, float64; not finite where a gradient is not."""
    dtypes: set[torch.dtype]
    """That gradients are kept in."""
    sparse: list[bool]
    """Whether autograd gives a sparse gradient of the shared tensor."""
    heads: list[Tensor | None]
    """Gradients of the sum of the losses; None where no loss depends."""
    own_sizes: Tensor
    """`[T]`, float64: not finite where what is a task's alone is not, its heads' gradients or, in batched passes, what
    its part of the graph gives, if that is watched."""


@outside_autocast()
def loss_gradients(
    losses: Tensor | Sequence[Tensor],
    shared: Mapping[str, Tensor],
    heads: Sequence[Tensor] = (),
    *,
    chunk_size: int = 1,
    retain_graph: bool = False,
) -> tuple[TaskGradients, list[Tensor | None]]:
    """Gradients of every loss with respect to shared tensors, and the plain gradient of the heads.

    Args:
        losses: one per task, of one autograd graph: `[T]`, or `T` scalars.
        shared: tensors of the graph by name: parameters, or a representation. A loss that does not depend on one has a
            zero gradient there. The gradient of a complex one is `[T, *shape, 2]`, its real and imaginary parts.
        heads: tensors whose gradient is that of the sum of the losses.
        chunk_size: tasks that one batched backward pass serves. 1 runs anything, and is the fastest on a CPU; more
            trades memory for fewer, larger operations (`vmap` over the backward pass, which not every operation has).
        retain_graph: whether the graph is needed again.

    Returns:
        Gradients of the shared tensors per task, `[T, *shape]` by name; those of the heads, None where no loss depends.

    Raises:
        TypeError: `chunk_size` is no whole number.
        ValueError: a loss is not a scalar or has no graph; `chunk_size` is not positive.
    """
    roots = read_losses(losses).roots
    check_count("chunk_size", chunk_size)
    passes = task_passes(roots, [*shared.values()], heads, chunk_size=chunk_size, retain_graph=retain_graph)
    for leaf in passes.leaves:
        assert isinstance(leaf, Tensor)
        leaf.mul_(by_task(passes.unit, leaf))
    return TaskGradients(dict(zip(shared, passes.leaves, strict=True))), passes.heads


def task_passes(
    roots: Sequence[GradientEdge | None],
    shared: Sequence[Tensor],
    heads: Sequence[Tensor],
    *,
    factor: Tensor | None = None,
    chunk_size: int = 1,
    retain_graph: bool = False,
    own_graphs: bool = False,
    factored: bool = False,
    average: Average | None = None,
    watch: bool = False,
) -> Passes:
    """A backward pass per task, or per chunk of them.

    Args:
        roots: where each task's part of the graph begins; None for zeros.
        shared: tensors to be differentiated by, task by task.
        heads: tensors to be differentiated by, the tasks together.
        factor: on every loss, scalar, as a `GradScaler` asks for; it is in the gradients that come back.
        chunk_size: see `loss_gradients`.
        retain_graph: whether the graph is needed again.
        own_graphs: whether each task's pass goes through nodes that no other goes through and that are not needed
            again: they are freed with it. With a chunk size of 1.
        factored: leave out gradients that follow from those at a layer's outputs, see `layer_plan`; with a chunk size
            of 1, since a batched pass does not tell what a tensor's hooks make of them.
        average: over ranks that agree on what is left out, and then all have to be here; None: one rank, or nothing is.
        watch: whether to see of which task a gradient is that is not finite: a batched pass spoils those of others.
            Reads from the device.
    """
    T, device = len(roots), shared[0].device
    one = torch.ones((), device=device) if factor is None else factor
    stores = Stores(roots, shared, factored and chunk_size == 1, average)
    unit = torch.ones(T, dtype=torch.float64, device=device)
    own_sizes = torch.zeros_like(unit)
    total: list[Tensor | None] = [None] * len(heads)
    chunks = [range(start, min(start + chunk_size, T)) for start in range(0, T, chunk_size)]
    chunks = [chunk for chunk in chunks if any(roots[task] is not None for task in chunk)]
    if chunk_size > 1 and heads and chunks:
        with Watch(roots, watch) as watched:
            total = vector_jacobian(roots, one.expand(T), heads, retain_graph=True)
        own_sizes = watched.sums(unit)
    own, common = _owned(roots, heads) if chunk_size == 1 else ([], [])
    with without_hooks(heads), _received(stores.inputs) as received:  # the heads' are met below, by the sum
        for chunk in chunks:
            keep, rows = retain_graph or chunk != chunks[-1], slice(chunk.start, chunk.stop)
            if chunk_size == 1:
                keep = keep and not own_graphs
                # The heads on the way: the pass through a task's own head gives its gradient as well.
                places = [*common, *own[chunk.start]]
                inputs = [*stores.inputs, *(heads[place] for place in places)]
                received.clear()
                found = [*_grad([root for root in roots[rows] if root is not None], inputs, [one], keep)]
                of_heads = found[len(stores.inputs) :]
                for place, gradient in zip(places, of_heads, strict=True):
                    total[place] = _sum(total[place], gradient)
                if watch and common:
                    own_sizes[rows] = largest_entry(of_heads[: len(common)], like=unit)
                found = _as_received(stores.inputs, found, received)
            else:
                with Watch(roots[rows], watch, batch=len(chunk)) as watched:
                    found = _batched(roots[rows], one, stores.inputs, keep)
                own_sizes[rows] += watched.sums(unit)
            unit[rows] = stores.put(found, rows, like=unit)
    if chunk_size == 1:
        if watch and not bool(largest_entry(total, like=unit).isfinite()):
            alone = [largest_entry([total[place] for place in places], like=unit) for places in own]
            own_sizes = torch.maximum(own_sizes, torch.stack(alone))
        total = [after_hooks(head, gradient) for head, gradient in zip(heads, total, strict=True)]
    return Passes(stores.leaves(), unit, stores.dtypes, stores.sparse, total, own_sizes)


def vector_jacobian(
    roots: Sequence[GradientEdge | None], factors: Tensor, inputs: Sequence[Tensor | GradientEdge], retain_graph: bool
) -> list[Tensor | None]:
    """Gradient of `sum_i factors_i roots_i`; None for an input that no root depends on."""
    there = [(root, factor) for root, factor in zip(roots, factors.unbind(), strict=True) if root is not None]
    outputs, seeds = _joined([root for root, _ in there], [factor for _, factor in there])
    with _received(inputs) as received:
        found = _grad(outputs, inputs, seeds, retain_graph)
    return _as_received(inputs, found, received)


def _joined(
    roots: Sequence[GradientEdge], factors: Sequence[Tensor]
) -> tuple[Sequence[GradientEdge], Sequence[Tensor]]:
    """What to differentiate, with factors on it: a vector of losses at once, if that was taken apart.

    By its elements takes time with the square of their number: torch looks at all of them for each.
    """
    node: Any = roots[0].node
    if TAKEN_APART not in node.metadata or any(root.node is not node for root in roots):
        return roots, factors
    there = {root.output_nr: factor for root, factor in zip(roots, factors, strict=True)}
    zero = torch.zeros_like(factors[0])
    seeds = torch.stack([there.get(place, zero) for place in range(node.metadata[TAKEN_APART])])
    whole, output = node.next_functions[0]
    return [GradientEdge(whole, output)], [seeds]


@contextmanager
def _received(inputs: Sequence[Tensor | GradientEdge]) -> Iterator[dict[Node, Tensor | None]]:
    """What the nodes of edges receive within, of those that run: autograd tells what it was before a tensor's hooks."""
    received: dict[Node, Tensor | None] = {}

    def keep(edge: GradientEdge) -> Callable[[tuple[Tensor | None, ...]], None]:
        def hook(gradients: tuple[Tensor | None, ...]) -> None:
            received[edge.node] = gradients[edge.output_nr]

        return hook

    with ExitStack() as stack:
        for edge in inputs:
            if isinstance(edge, GradientEdge):
                stack.callback(edge.node.register_prehook(keep(edge)).remove)
        yield received


def _as_received(
    inputs: Sequence[Tensor | GradientEdge], found: Sequence[Tensor | None], received: Mapping[Node, Tensor | None]
) -> list[Tensor | None]:
    """What a pass has found by each input, at edges after the hooks of a tensor there."""
    return [
        received.get(at.node, gradient) if isinstance(at, GradientEdge) else gradient
        for at, gradient in zip(inputs, found, strict=False)
    ]


def _owned(roots: Sequence[GradientEdge | None], heads: Sequence[Tensor]) -> tuple[list[list[int]], list[int]]:
    """The places of the heads that a task's loss alone depends on, for each task; and of those that several do."""
    owner = owners(roots) if heads else {}
    own: list[list[int]] = [[] for _ in roots]
    common: list[int] = []
    for place, head in enumerate(heads):
        node = get_gradient_edge(head).node
        if node in owner:
            task = owner[node]
            (common if task is None else own[task]).append(place)
    return own, common


def _batched(
    roots: Sequence[GradientEdge | None], one: Tensor, inputs: Sequence[Tensor | GradientEdge], keep: bool
) -> list[Tensor | None]:
    """The gradients of several tasks from one pass, `[len(roots), *shape]` by each input."""
    one_each = torch.eye(len(roots), device=one.device) * one
    here = [(root, row) for root, row in zip(roots, one_each.unbind(), strict=True) if root is not None]
    return list(_grad([root for root, _ in here], inputs, [row for _, row in here], keep, is_grads_batched=True))


def _sum(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    return b if a is None else a if b is None else a + b


def _grad(
    roots: Sequence[GradientEdge],
    inputs: Sequence[Tensor | GradientEdge],
    factors: Sequence[Tensor],
    retain_graph: bool,
    is_grads_batched: bool = False,
) -> tuple[Tensor | None, ...]:
    return torch.autograd.grad(
        roots,
        inputs,  # type: ignore[arg-type]  # of both kinds
        factors,
        retain_graph=retain_graph,
        allow_unused=True,
        is_grads_batched=is_grads_batched,
    )
