"""Tasks that are not in every batch: the others are solved for, and what a method remembers goes with its task."""

import re
from typing import Any

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from mtrl import backward
from mtrl.aggregation import (
    FAMO,
    METHODS,
    STCH,
    GradientMethod,
    GradNorm,
    GradVac,
    LinearScalarization,
    Method,
    NashMTL,
    PCGrad,
    UPGrad,
    make,
)
from mtrl.gradients import collect, update
from tests.existing import existing
from tests.gradients.supervised import Model, T

FEW = [name for name in METHODS if name not in ("krum", "trimmed_mean")]
"""Methods that two tasks are enough for."""
NAMES = ["depth", "edges", "parts"]


def without(losses, *absent):
    return [None if task in absent else loss for task, loss in enumerate(losses)]


@pytest.mark.parametrize("name", FEW)
def test_an_absent_task_has_no_part_and_what_is_remembered_of_it_stays(name):
    model, method = Model(), make(name)
    losses = model.losses()
    backward(losses, method, model.trunk)
    before = {key: value.clone() for key, value in method.state_dict().items()}
    model.zero_grad()
    J = model.jacobian()
    weights = backward(without(model.losses(), 1), method, model.trunk)
    assert model.heads[1].weight.grad is None
    if isinstance(method, Method):
        assert weights[1] == 0
        assert_of_the_present(method, model, weights, J)
    after = method.state_dict()
    assert after.keys() == before.keys()
    for key, axes in method.task_axes.items():
        for axis in axes if key in before else ():
            assert torch.equal(after[key].select(axis, 1), before[key].select(axis, 1)), key


def assert_of_the_present(method, model, weights, J):
    if not isinstance(method, GradientMethod):  # whose weights may be of other gradients
        got = torch.cat([p.grad.flatten() for p in model.trunk.parameters()])
        assert_close(got, weights @ J)


SHARED_OUT = {
    "excess_mtl": "log_weights",
    "grad_norm": "task_weights",
    "moco": "simplex_weights",
    "sdm_grad": "simplex_weights",
}
"""The methods whose learned weights have a sum, and where these are."""


@pytest.mark.parametrize("name", SHARED_OUT)
@pytest.mark.parametrize("batches", [[NAMES[:2], NAMES], [NAMES[:2], NAMES[2:], NAMES]])
@pytest.mark.parametrize("named", [False, True])
def test_tasks_alike_have_equal_weights_whatever_batches_they_are_in(name, batches, named):
    method = make(name)
    for batch in batches * 10:
        x = torch.zeros(T, dtype=torch.float64, requires_grad=True)
        losses = dict(zip(NAMES, (x + 1) ** 2, strict=True))
        if named:
            weights = backward([losses[task] for task in batch], method, [x], tasks=batch)
        else:
            weights = backward([loss if task in batch else None for task, loss in losses.items()], method, [x])
    # ExcessMTL divides by the root of all squares so far, of which a task that is absent has fewer.
    assert_close(weights / weights.sum(), torch.full((T,), 1 / T, dtype=torch.float64), rtol=0.05, atol=0)


@pytest.mark.parametrize(("name", "state"), SHARED_OUT.items())
def test_an_absent_task_keeps_its_share(name, state):
    model, method = Model(), make(name)

    def total():
        weights = method.state_dict()[state]
        return (weights.exp() if name == "excess_mtl" else weights[0] if name == "grad_norm" else weights).sum()

    backward(model.losses(), method, model.trunk)
    first = total()
    for call in range(9):
        weights = backward(without(model.losses(), call % 4), method, model.trunk)
        assert_close(total(), first)
        if name != "grad_norm":
            assert_close(weights.sum(), torch.ones_like(weights[0]) * (1.3 if name == "sdm_grad" else 1))


@pytest.mark.parametrize("name", FEW)
def test_the_first_call_may_lack_a_task(name):
    model, method = Model(), make(name)
    for absent in ((1,), (), (0, 2), ()):
        model.zero_grad()
        weights = backward(without(model.losses(), *absent), method, model.trunk)
        grads = [existing(p.grad) for p in model.trunk.parameters()]
        assert all(grad.isfinite().all() for grad in grads)
        if isinstance(method, Method):
            assert weights.isfinite().all()
            assert not weights[list(absent)].any()


def test_a_mask_says_the_same_and_the_losses_it_hides_are_not_read():
    model, other = Model(), Model()
    weights = backward(without(model.losses(), 0), NashMTL(), model.trunk)
    losses = other.losses()
    losses[0] = torch.tensor(torch.nan)
    hidden = backward(losses, NashMTL(), other.trunk, present=torch.tensor([False, True, True]))
    assert torch.equal(weights, hidden)
    for ours, theirs in zip(model.trunk.parameters(), other.trunk.parameters(), strict=True):
        assert torch.equal(existing(ours.grad), existing(theirs.grad))


def test_without_any_task_nothing_happens():
    model = Model()
    assert not backward([None] * T, NashMTL(), model.trunk).any()
    assert all(p.grad is None for p in model.parameters())


def test_numbers_per_task_go_with_the_task():
    model = Model()
    weights = backward(without(model.losses(), 0), LinearScalarization([1, 2, 3]), model.trunk)
    assert weights.tolist() == [0, 2, 3]
    preferred = UPGrad(preference=[1, 2, 3])
    assert_close(
        backward(without(model.losses(), 1), preferred, model.trunk)[[0, 2]],
        backward([model.losses()[0], model.losses()[2]], UPGrad(preference=[1, 3]), model.trunk),
    )
    assert preferred.preference == (1, 2, 3)
    named = LinearScalarization([1, 2, 3])
    with pytest.raises(ValueError, match="got 3 for 2 tasks: they go by the order in which tasks first appear"):
        backward(model.losses()[:2], named, model.trunk, tasks=NAMES[:2])
    first = backward(without(model.losses(), 2), named, model.trunk, tasks=NAMES)
    assert first.tolist() == [1, 2, 0]
    assert backward(model.losses()[1:], named, model.trunk, tasks=["parts", "depth"]).tolist() == [3, 1]
    with pytest.raises(ValueError, match="STCH needs one number in preference per task, got 2 for 3 tasks"):
        backward(without(model.losses(), 0), STCH(preference=[1, 2]), model.trunk)


def test_state_follows_the_names():
    """The same steps with the tasks in any order, as positions say nothing."""
    model, method, other = Model(), GradVac(beta=0.5), GradVac(beta=0.5)
    orders = [[0, 1, 2], [2, 0, 1], [1, 2], [2, 1, 0]]
    for order in orders:
        losses = model.losses()
        named = backward([losses[i] for i in order], method, model.trunk, tasks=[NAMES[i] for i in order])
        assert named.shape == (len(order),)
        losses = model.losses()
        backward([losses[i] if i in order else None for i in range(T)], other, model.trunk)
    assert method.task_names == tuple(NAMES)
    # Random orders aside, which the two draw alike, pairs of tasks have met as often.
    targets = existing(method.targets)
    assert targets.isfinite().all()
    assert (targets != 0).sum() == (existing(other.targets) != 0).sum()


def test_names_are_part_of_the_state():
    model, method = Model(), FAMO()
    backward(model.losses(), method, model.trunk, tasks=NAMES)
    update(model.losses(), method, tasks=NAMES)
    state = method.state_dict()
    assert all(isinstance(value, torch.Tensor) for value in state.values())
    older = FAMO()
    older.load_state_dict({**state, "task_names": NAMES})
    assert older.task_names == tuple(NAMES)
    resumed = FAMO()
    resumed.load_state_dict(state)
    turned = [2, 0, 1]
    here, there = (
        backward([model.losses()[i] for i in order], m, model.trunk, tasks=[NAMES[i] for i in order])
        for m, order in ((method, [0, 1, 2]), (resumed, turned))
    )
    assert_close(here[turned], there)


def test_a_call_that_is_refused_teaches_no_names():
    model, method = Model(), FAMO()
    losses = model.losses()
    with pytest.raises(ValueError, match="no loss reaches one"):
        backward(losses, method, nn.Linear(2, 2), tasks=["depth", "edges", "typo"])
    with pytest.raises(ValueError, match="not finite"):
        backward([losses[0], losses[1], losses[2] * torch.nan], method, model.trunk, tasks=["depth", "edges", "typo"])
    assert method.task_names is None
    assert not backward([None] * T, method, model.trunk, tasks=NAMES).any()
    assert method.task_names == tuple(NAMES)
    backward(model.losses(), method, model.trunk, tasks=NAMES)
    with pytest.raises(ValueError, match="needs to be a scalar"):
        update([*losses[:2], torch.ones(2)], method, tasks=[*NAMES[:2], "typo"])
    losses = model.losses()
    with pytest.raises(ValueError, match="positive losses"):
        collect([*losses[:2], -losses[2]], model.trunk).apply(method, tasks=[*NAMES[:2], "typo"])
    assert method.task_names == tuple(NAMES)


@pytest.mark.parametrize("method", [PCGrad(), NashMTL(), UPGrad(), LinearScalarization()])
def test_an_absent_entry_of_a_vector_that_is_nan_is_named(method):
    """The mean of no labels is 0 / 0, whose derivative comes to the trunk as 0 * nan in every other task's pass."""
    model, counts = Model(), torch.tensor([0.0, 1.0, 1.0])
    sums = torch.stack(model.losses()) * counts
    of = "the weighted sum of the losses" if isinstance(method, LinearScalarization) else "task 1"
    line = f"the gradient of {of} is not finite: nan; the loss of task 0, which is absent, is nan, and reaches"
    with pytest.raises(ValueError, match=line):
        backward(sums / counts, method, model.trunk, present=[False, True, True])
    sums = torch.stack(model.losses()) * counts
    weights = backward(sums / counts.clamp(min=1), method, model.trunk, present=[False, True, True])
    assert weights[0] == 0


def test_a_call_that_is_refused_leaves_the_state_of_all_tasks():
    model, learned, preferred = Model(), GradNorm(), UPGrad(preference=[1, 2, 3])
    for method in (learned, preferred):
        backward(model.losses(), method, model.trunk)
        before = {key: value.clone() for key, value in method.state_dict().items()}
        losses = model.losses()
        losses[2] = losses[2] + (model.trunk.get_parameter("0.weight").sum() * 0).sqrt()
        with pytest.raises(ValueError, match="the gradient of task 2 is not finite"):
            backward(without(losses, 1), method, model.trunk)
        assert_close(method.state_dict(), before, rtol=0, atol=0)
    assert preferred.preference == (1, 2, 3)


@pytest.mark.parametrize("method", [GradNorm(), LinearScalarization()])
def test_what_is_said_of_a_task_is_said_of_its_place_among_all(method):
    model = Model()
    losses = model.losses()
    for bad, message in (
        (losses[2] * torch.inf, "the loss of task 2 is not finite: inf"),
        (losses[2] + (model.trunk.get_parameter("0.weight").sum() * 0).sqrt(), "the gradient of task 2 is not finite"),
        (-losses[2], "needs positive losses, got -.* for task 2$"),
    ):
        if method.positive_losses or "positive" not in message:
            with pytest.raises(ValueError, match=message):
                backward([None, losses[1], bad], method, model.trunk, retain_graph=True)


def test_update_takes_the_losses_that_backward_takes():
    model = Model()
    methods = [FAMO() for _ in range(5)]
    for method in methods:
        backward(model.losses(), method, model.trunk)
    losses = [2 * (i + 1) * loss for i, loss in enumerate(model.losses())]
    update(losses, methods[0])
    update(torch.stack(losses), methods[1])
    update([loss[None] for loss in losses], methods[2])
    methods[3].update(losses)
    methods[4].update([loss[None] for loss in losses])
    assert all(torch.equal(existing(method.logits), existing(methods[0].logits)) for method in methods)
    update([None] * T, methods[0])
    update(losses, methods[0], present=[False] * T)
    assert torch.equal(existing(methods[0].logits), existing(methods[1].logits))
    wrong: Any = [losses[0], 1.0, losses[2]]
    with pytest.raises(TypeError, match="the loss of task 1 needs to be a scalar tensor, got float"):
        update(wrong, methods[0])


def test_famo_learns_of_the_tasks_that_are_there():
    model, method = Model(), FAMO()
    backward(model.losses(), method, model.trunk)
    update(model.losses(), method)
    before = existing(method.logits).clone()
    backward(without(model.losses(), 1), method, model.trunk)
    update([loss * (2 + i) for i, loss in enumerate(model.losses())], method, present=[True, False, True])
    logits = existing(method.logits)
    assert torch.equal(logits[:, 1], before[:, 1])
    assert (logits[0, [0, 2]] != before[0, [0, 2]]).all()


def test_kept_weights_go_with_the_task():
    model, method = Model(), NashMTL()
    weights = backward(model.losses(), method, model.trunk, update_every=5)
    with pytest.raises(ValueError, match=re.escape("has been used with 3 tasks, got 2: say which by tasks=[names]")):
        backward(model.losses()[::2], method, model.trunk, update_every=5)
    again = backward(without(model.losses(), 1), method, model.trunk, update_every=5)
    assert again.tolist() == [weights[0], 0, weights[2]]
    method = NashMTL()
    weights = backward(model.losses(), method, model.trunk, tasks=NAMES, update_every=5)
    turned = backward(model.losses()[::-1][:2], method, model.trunk, tasks=NAMES[::-1][:2], update_every=5)
    assert turned.tolist() == [weights[2], weights[1]]
    assert int(existing(method.held_for)) == 2
    # A task without a weight has the method asked, and the count begin anew.
    new = backward(model.losses()[:2], method, model.trunk, tasks=["depth", "new"], update_every=5)
    assert int(existing(method.held_for)) == 1
    assert_close(new, NashMTL()(model.jacobian()[:2] @ model.jacobian()[:2].T))


def test_mistakes():
    model, method = Model(), GradVac()
    losses = model.losses()

    def fails(message, *arguments, **options):
        with pytest.raises(ValueError, match=re.escape(message)) as error:
            backward(*arguments, **options)
        assert "\n" not in str(error.value)

    fails("tasks needs a name for each of the 3 losses, got ['depth']", losses, method, model.trunk, tasks=["depth"])
    fails("tasks needs names that differ, got ['a', 'b', 'a']", losses, method, model.trunk, tasks=["a", "b", "a"])
    fails("tasks needs a name for each of the 3 losses, got 3", losses, method, model.trunk, tasks=3)
    for present in ([True], True, torch.tensor(True)):
        fails("present needs True or False for each of the 3", losses, method, model.trunk, present=present)
    backward(model.losses(), method, model.trunk, tasks=NAMES)
    fails("used with named tasks, ['depth', 'edges', 'parts']: tasks needs", losses, method, model.trunk)
    method = GradVac()
    backward(model.losses(), method, model.trunk)
    fails("has been used with 3 tasks, got 2", losses[1:], method, model.trunk)
    wrong: list[Any] = [losses[0], 0.0, losses[2]]
    with pytest.raises(TypeError, match=r"the loss of task 1 needs to be a scalar tensor, got float"):
        backward(wrong, GradVac(), nn.ModuleList([model.trunk]))
