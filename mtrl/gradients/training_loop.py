"""Aggregation in anybody's training loop, in place of `loss.backward()`.

Axes: `T` tasks.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.amp import GradScaler

from mtrl.aggregation import CoordinateMethod, GradientMethod, Method
from mtrl.aggregation.gradient_method import check_method, why_not_reused
from mtrl.gradients.accumulation import accumulate
from mtrl.gradients.autocast import outside_autocast
from mtrl.gradients.average import Average
from mtrl.gradients.counts import check_count
from mtrl.gradients.loss_graph import LossGraph, loss_graph
from mtrl.gradients.losses import given_losses, read_losses
from mtrl.gradients.parameters import Trainable
from mtrl.gradients.ranks import agreed
from mtrl.gradients.step import Options, take_step
from mtrl.gradients.update_length import Scale, check_length


@outside_autocast()
def backward(
    losses: Tensor | Sequence[Tensor | None],
    method: Method | CoordinateMethod,
    shared: Trainable,
    *,
    features: Tensor | Sequence[Tensor] | None = None,
    heads: Trainable | None = None,
    tasks: Sequence[str] | None = None,
    present: Sequence[bool] | Tensor | None = None,
    update_every: int = 1,
    scale: Scale = None,
    max_norm: float | None = None,
    chunk_size: int = 1,
    scaler: GradScaler | None = None,
    average: Average | None = None,
    retain_graph: bool = False,
    check: bool = True,
) -> Tensor:
    """Adds the aggregated gradient to the `.grad` of the shared parameters, and their own to that of the heads.

        optimizer.zero_grad()
        weights = backward(losses, method, shared=trunk)
        optimizer.step()

    Heads take the plain gradient of the sum of the losses, that is each its own task's; but a method that is a weighted
    loss (`method.weighs_heads`) weighs them too: with `LinearScalarization()` this is `losses.mean().backward()`. A
    method that needs no Gram matrix costs one plain backward pass; any other one pass through the shared part per task,
    or with `features` a single one. As in `loss.backward()`, a parameter that no loss depends on keeps its `.grad`.

    Args:
        losses: one per task, of one autograd graph: `[T]`, or `T` scalars. None for a task that is absent from the
            batch: it has no part in the update, its weight is 0, and what the method remembers of it stays.
        method: its state moves on by one call.
        shared: parameters whose gradients are aggregated, a module that has them, or several modules. Frozen ones are
            left alone; a task that does not use one has a zero gradient there. A hook on one sees each task's gradient,
            a hook on a head or on a feature the sum.
        features: the representation that the heads read, made of the shared parameters; one tensor or several, also
            where one is made of another. The tasks' gradients are then compared there instead of at the parameters
            (MGDA-UB: Sener and Koltun 2018, section 3.3). Not for a method that remembers gradients
            (`method.remembers_gradients`): they are of the samples of one call.
        heads: parameters of single tasks; None for all that the losses reach, the shared ones aside.
        tasks: names of the tasks, for losses that are not of the same tasks at each call: what the method remembers
            goes by name. None: tasks are the same ones, in the same order, at each call. A method's numbers per task
            (`preference=[1, 2]`) go by the order in which the names first appear, so that the first call names all
            tasks, in the order of the numbers, with None for a loss that it lacks.
        present: `[T]`, whether a task is there: the same as None for the losses of the others, which are not read.
        update_every: ask the method every so many calls and reuse its weights in between, at the cost of one plain
            backward pass (Navon et al. 2022, sections 3.3 and 6.4). The count is part of the method's state. A task
            that has no weight yet has the method asked. Not for a method whose weights are for gradients that it
            remembers (`method.weighs_remembered`).
        scale: the length of the shared parameters' update: `"mean"`, as long as the gradient of the mean of the losses,
            so that a learning rate found for the mean fits; `"unit"` or a number, that length; None, as the method
            gives it. A weight that is reused keeps the `"mean"` that it was found with.
        max_norm: greatest length of that update, after `scale` (Navon et al. 2022 train with 1).
        chunk_size: see `loss_gradients`.
        scaler: for float16: gradients are left multiplied by its scale, as `scaler.step` expects, and aggregated
            without; give the losses as they are. A step with an overflow, which the scaler skips, gives NaN weights;
            those of a method that reads the losses alone are its own.
        average: of per-task gradients over ranks that each hold a part of the batch, before the Gram matrix is taken;
            a module that a trainer has wrapped in `DistributedDataParallel` may stay so, and without an average is
            refused. See `mtrl.distributed.RankAverage`.
        retain_graph: whether the graph is needed again.
        check: look for losses and gradients that are not finite, and whether the method was solved and the ranks agree.
            False: nothing is read back from the device (except weights to reuse, and what ranks have to tell each
            other).

    Returns:
        Weights of the tasks, `[T]`: the update is `sum_i w_i g_i`; NaN from a coordinate-wise rule, which has none.

    Raises:
        TypeError: a method's name or class in place of a method, losses, parameters or features that are none, or a
            count that is no whole number.
        ValueError: a loss or a gradient is NaN or infinite (without a scaler), the method was not solved, and the other
            misuses that the message names. No `.grad` has changed then.

    Examples:
        Two tasks that pull a shared weight in conflicting directions; PCGrad's update helps both:

        >>> import torch
        >>> from mtrl import backward
        >>> from mtrl.aggregation import PCGrad
        >>> shared = torch.zeros(2, requires_grad=True)
        >>> losses = [shared @ torch.tensor([1.0, 0.0]), shared @ torch.tensor([-1.0, 1.0])]
        >>> backward(losses, PCGrad(), shared=[shared])
        tensor([2.0000, 1.5000])
        >>> shared.grad
        tensor([0.5000, 1.5000])
    """
    check_method(method)
    check_count("update_every", update_every)
    why = "which learns at every step" if method.needs_update else why_not_reused(method)
    if update_every > 1 and why:
        raise ValueError(f"update_every needs to be 1 with {method}, {why}, got update_every={update_every}")
    if features is not None and method.remembers_gradients:
        raise ValueError(f"{method} remembers the gradients of other samples: features needs to be None")
    if features is not None and average is not None and isinstance(method, GradientMethod):
        raise ValueError(f"{method} reads the gradients themselves: with average, features needs to be None")
    check_length(scale, max_norm)

    def plan() -> tuple[LossGraph, list[int], int]:
        given = read_losses(losses, present, check)
        rows, total = method.places(tasks, len(given.roots))
        return loss_graph(given, shared, heads, features, average, retain_graph), rows, total

    graph, rows, total = plan() if average is None else agreed(plan, method, average, check)
    there = [task for task, here in enumerate(graph.present) if here]
    weights = graph.losses.values.new_zeros(len(rows))
    if not there:
        method.learn(tasks)
        return weights
    mine = [rows[task] for task in there]
    held = method.held(mine, update_every, weights) if update_every > 1 else None
    options = Options(chunk_size, scale, max_norm, scaler, retain_graph, check)
    with method.of_tasks(mine, total):
        taken = take_step(graph.of_tasks(there), method, held, options)
    method.learn(tasks)
    if update_every > 1:
        method.hold(taken.kept_weights, mine, total, again=held is not None)
    accumulate([*graph.shared, *graph.heads], [*taken.of_shared, *taken.of_heads])
    weights[there] = taken.weights.to(weights)
    return weights


def update(
    losses: Tensor | Sequence[Tensor | None],
    method: Method,
    *,
    tasks: Sequence[str] | None = None,
    present: Sequence[bool] | Tensor | None = None,
) -> None:
    """`method.update` where tasks may be absent: after the optimizer's step, for the methods with `needs_update`.

    Args:
        losses: on the data of the last `backward`, as there, but no graph is needed; without any, nothing is learned.
        method: that learns from them.
        tasks: as there.
        present: as there.

    Raises:
        TypeError: a method's name or class in place of a method, or losses that are none.
        ValueError: there was no call of the method yet, or one of other tasks.
    """
    check_method(method)
    given = given_losses(losses, present)
    rows, total = method.places(tasks, len(given))
    there = {row: loss.detach().reshape(()) for row, loss in zip(rows, given, strict=True) if loss is not None}
    if there:
        with method.of_tasks([*there], total):
            method.update(torch.stack([*there.values()]))
        method.learn(tasks)
