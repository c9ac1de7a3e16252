"""`backward` in a training loop: what it leaves in `.grad`, what it costs, and what it says of mistakes."""

import copy
import re
from typing import Any, cast

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from mtrl import backward
from mtrl.aggregation import (
    METHODS,
    MGDA,
    CAGrad,
    GradNorm,
    LinearScalarization,
    NashMTL,
    PCGrad,
    TrimmedMean,
    UncertaintyWeighting,
    make,
)
from mtrl.gradients import loss_gradients
from tests.existing import existing
from tests.gradients.supervised import Counted, Model, T


@pytest.fixture(autouse=True)
def _no_passes():
    Counted.passes.clear()


@pytest.mark.parametrize("norm", [nn.Identity, nn.BatchNorm1d, nn.LayerNorm])
@pytest.mark.parametrize("stacked", [False, True])
@pytest.mark.parametrize("chunk_size", [1, 2, 3])
def test_shared_parameters_follow_the_method_and_heads_their_own_losses(norm, stacked, chunk_size):
    model = Model(norm)
    J = model.jacobian()
    losses = model.losses()
    weights = backward(
        torch.stack(losses) if stacked else losses, NashMTL(), model.trunk.parameters(), chunk_size=chunk_size
    )
    assert_close(weights, NashMTL()(J @ J.T))
    trunk, heads = model.gradients()
    assert_close(trunk, weights @ J)
    assert_close(heads, model.head_gradients())


def test_the_mean_is_the_gradient_of_the_mean_loss():
    model, plain = Model(), Model()
    backward(model.losses(), LinearScalarization(), model.trunk.parameters())
    torch.stack(plain.losses()).mean().backward()
    for ours, theirs in zip(model.gradients(), plain.gradients(), strict=True):
        assert_close(ours, theirs)


@pytest.mark.parametrize("method", [MGDA(), NashMTL()])
def test_features_compare_gradients_at_the_representation(method):
    model = Model()
    J, Z = model.jacobian(), model.jacobian(representation=True)
    Counted.passes.clear()
    z = model.features()
    weights = backward(torch.stack(model.losses(z)), method, model.trunk.parameters(), features=z)
    assert Counted.passes == {"trunk": 1, **{f"head {i}": 1 for i in range(T)}}
    assert_close(weights, method(Z @ Z.T))
    trunk, heads = model.gradients()
    assert_close(trunk, weights @ J)
    assert_close(heads, model.head_gradients())


def test_a_stacked_loss_runs_back_through_its_own_head_alone():
    model = Model()
    backward(torch.stack(model.losses()), MGDA(), model.trunk.parameters())
    assert Counted.passes == {"trunk": T, **{f"head {i}": 1 for i in range(T)}}


def test_a_method_without_gram_matrix_costs_one_pass():
    model = Model()
    backward(model.losses(), LinearScalarization([1, 2, 3]), model.trunk.parameters())
    assert Counted.passes == {"trunk": 1, **{f"head {i}": 1 for i in range(T)}}
    assert_close(model.gradients()[1], model.head_gradients(torch.tensor([1.0, 2, 3])))


@pytest.mark.parametrize("features", [False, True])
def test_a_weighted_loss_weighs_the_heads_as_well(features):
    model, method = Model(), GradNorm()  # which needs a Gram matrix for its weights
    J = model.jacobian()
    for _ in range(3):
        model.zero_grad()
        z = model.features()
        weights = backward(model.losses(z), method, model.trunk, features=z if features else None)
    assert weights.unique().numel() > 1
    assert_close(model.gradients()[0], weights @ J)
    assert_close(model.gradients()[1], model.head_gradients(weights))


def test_gradients_accumulate():
    model = Model()
    backward(model.losses(), MGDA(), model.trunk.parameters())
    once = [g.clone() for g in model.gradients()]
    backward(model.losses(), MGDA(), model.trunk.parameters())
    for twice, first in zip(model.gradients(), once, strict=True):
        assert_close(twice, 2 * first)


def test_parts_of_a_batch_add_up_before_the_method_sees_them():
    model = Model()
    J = model.jacobian()
    shared = dict(model.trunk.named_parameters())
    x, targets, parts = model.x, model.targets, []
    for rows in (slice(0, 8), slice(8, 16)):
        model.x, model.targets = x[rows], targets[:, rows]
        parts.append(loss_gradients([loss / 2 for loss in model.losses()], shared)[0])
    collected = parts[0] + parts[1]
    assert_close(collected.gram(), J @ J.T)


def test_weights_are_reused_between_solves_and_the_count_resumes():
    model, method, seen = Model(), PCGrad(), []
    for step in range(5):
        if step == 2:  # resumed in the middle
            state, method = method.state_dict(), PCGrad()
            method.load_state_dict(state)
        Counted.passes.clear()
        model.x = model.x + 0.5
        J = model.jacobian()
        Counted.passes.clear()
        model.zero_grad()
        seen.append(backward(model.losses(), method, model.trunk.parameters(), update_every=3))
        assert Counted.passes["trunk"] == (T if step % 3 == 0 else 1)
        assert_close(model.gradients()[0], seen[-1] @ J)
        assert_close(model.gradients()[1], model.head_gradients())
    assert torch.equal(seen[0], seen[2])
    assert torch.equal(seen[3], seen[4])
    assert not torch.equal(seen[2], seen[3])


def test_frozen_and_unused_parameters_are_left_alone():
    model = Model()
    frozen, unused = model.trunk.get_parameter("0.weight").requires_grad_(False), nn.Parameter(torch.ones(2))
    model.heads[1].bias.requires_grad_(False)
    backward(model.losses(), NashMTL(), [*model.trunk.parameters(), unused])
    assert frozen.grad is None
    assert model.heads[1].bias.grad is None
    assert unused.grad is None  # as after a plain backward pass
    assert existing(model.trunk.get_parameter("0.bias").grad).any()


def test_what_is_frozen_after_the_forward_pass_is_left_alone():
    model = Model()
    losses = model.losses()
    model.trunk.get_parameter("0.weight").requires_grad_(False)
    backward(losses, NashMTL(), model.trunk)
    assert model.trunk.get_parameter("0.weight").grad is None
    assert existing(model.trunk.get_parameter("0.bias").grad).any()


def test_hooks_on_a_stacked_loss_are_met():
    model = Model()
    J = model.jacobian()
    losses = torch.stack(model.losses())
    losses.register_hook(lambda gradient: 2 * gradient)
    weights = backward(losses, MGDA(), model.trunk)
    assert_close(model.gradients()[0], 2 * weights @ J)
    assert_close(model.gradients()[1], 2 * model.head_gradients())


@pytest.mark.parametrize("name", METHODS)
def test_a_parameter_may_be_a_scalar(name):
    """As a temperature is: the same as a vector of one entry."""
    x, weight = torch.randn(3, 4, dtype=torch.float64), torch.randn(4, dtype=torch.float64)
    scalar, vector = torch.tensor(0.7, dtype=torch.float64), torch.tensor([0.7], dtype=torch.float64)
    for parameter in (scalar, vector):
        shared = [parameter.requires_grad_(), weight.clone().requires_grad_()]
        torch.manual_seed(0)
        backward((parameter.reshape(()) * (x @ shared[1])).cosh(), make(name), shared)
    assert_close(existing(scalar.grad), existing(vector.grad)[0], equal_nan=True)


@pytest.mark.parametrize("method", [NashMTL(), TrimmedMean(), LinearScalarization()])
def test_inside_autocast_nothing_is_rounded(method):
    steps = []
    for inside in (False, True):
        model = Model(dtype=torch.float32)
        losses = model.losses()
        with torch.autocast("cpu", torch.bfloat16, enabled=inside):
            backward(losses, copy.deepcopy(method), model.trunk)
        steps.append(model.gradients())
    assert_close(steps[1], steps[0])


@pytest.mark.parametrize("chunk_size", [1, T])
@pytest.mark.parametrize("method", [MGDA(), UncertaintyWeighting()])
def test_a_hook_on_a_head_of_several_tasks_sees_the_sum(method, chunk_size):
    model, seen = Model(), []

    def clamped(gradient):
        seen.append(gradient)
        return gradient.clamp(-0.01, 0.01)

    model.heads[1] = model.heads[0]
    weight = model.heads.get_parameter("0.weight")
    expected = torch.autograd.grad(torch.stack(model.losses()).sum(), weight)[0].clamp(-0.01, 0.01)
    weight.register_hook(clamped)
    backward(model.losses(), method, model.trunk, chunk_size=chunk_size)
    assert_close(weight.grad, expected)
    assert len(seen) == 1


def test_a_task_that_does_not_use_the_trunk_has_a_zero_gradient():
    model = Model()
    apart = nn.Parameter(torch.tensor(2.0, dtype=torch.float64))
    weights = backward([*model.losses(), apart**2], NashMTL(), model.trunk.parameters())
    assert weights[-1] == 0
    assert apart.grad == 4
    assert_close(weights[:-1] @ model.jacobian(), model.gradients()[0])


def test_modules_stand_for_their_parameters():
    model, other = Model(), Model()
    backward(model.losses(), MGDA(), model.trunk, heads=model.heads)
    backward(other.losses(), MGDA(), other.trunk.parameters())
    for ours, theirs in zip(model.gradients(), other.gradients(), strict=True):
        assert_close(ours, theirs)


def test_sparse_gradients():
    table, head = nn.Embedding(10, 4, sparse=True), nn.Linear(4, T)
    backward((head(table(torch.tensor([1, 2, 3]))) ** 2).mean(0), LinearScalarization(), table)
    mean = existing(table.weight.grad).to_dense()
    table.weight.grad = None
    collected, _ = loss_gradients((head(table(torch.tensor([1, 2, 3]))) ** 2).mean(0), {"table": table.weight})
    assert_close(collected.combine(torch.full((T,), 1 / T))["table"], mean)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_in_a_few_steps(name):
    model, method = Model(torch.nn.LayerNorm), make(name)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    before = torch.stack(model.losses()).sum()
    for _ in range(20):
        optimizer.zero_grad()
        backward(model.losses(), method, model.trunk)
        optimizer.step()
        if method.needs_update:
            method.update(torch.stack(model.losses()))
    assert torch.stack(model.losses()).sum() < before


def test_given_heads_alone_get_a_gradient():
    model = Model()
    backward(model.losses(), MGDA(), model.trunk.parameters(), heads=model.heads[0].parameters())
    assert model.heads[0].weight.grad is not None
    assert model.heads[1].weight.grad is None


@pytest.mark.parametrize("method", [NashMTL(), LinearScalarization()])
@pytest.mark.parametrize("features", [False, True])
def test_float16_with_a_scaler_is_float32_without(method, features):
    def step(model, scaler):
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        with torch.autocast("cpu", torch.float16, enabled=scaler is not None):
            z = model.features()
            losses = model.losses(z)
        backward(losses, method, model.trunk.parameters(), features=z if features else None, scaler=scaler)
        if scaler is None:
            optimizer.step()
        else:
            scaler.step(optimizer)
            scaler.update()
        return model.trunk.get_parameter("0.weight").detach()

    half = step(Model(dtype=torch.float32), torch.amp.GradScaler("cpu", init_scale=1024.0))
    assert_close(half, step(Model(dtype=torch.float32), None), rtol=0, atol=3e-3)


def test_an_overflow_is_a_skipped_step():
    model, method = Model(dtype=torch.float32), NashMTL()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**120)
    before = model.trunk.get_parameter("0.weight").detach().clone()
    with torch.autocast("cpu", torch.float16):
        losses = model.losses()
    weights = backward(losses, method, model.trunk.parameters(), scaler=scaler, update_every=2)
    scaler.step(optimizer)
    scaler.update()
    assert weights.isnan().all()
    assert torch.equal(model.trunk.get_parameter("0.weight"), before)
    assert scaler.get_scale() < 2.0**120
    assert method.held_weights is None  # the next step asks the method again


def test_coordinate_wise_rules_have_no_weights():
    model = Model()
    J = model.jacobian()
    weights = backward(model.losses(), TrimmedMean(num_trimmed=1), model.trunk.parameters())
    assert weights.isnan().all()
    assert_close(model.gradients()[0], J.median(0).values)


def test_the_graph_may_be_kept():
    model = Model()
    losses = torch.stack(model.losses())
    for _ in range(2):
        backward(losses, MGDA(), model.trunk.parameters(), retain_graph=True)
    backward(losses, LinearScalarization(), model.trunk.parameters())


def test_a_compiled_trunk():
    model = Model()
    J = model.jacobian()
    model.trunk = cast(nn.Sequential, torch.compile(model.trunk, backend="aot_eager"))
    weights = backward(model.losses(), CAGrad(), model.trunk.parameters())
    assert_close(model.gradients()[0], weights @ J)


def test_what_is_not_finite_is_named_and_nothing_has_changed():
    model = Model()
    losses = model.losses()
    losses[1] = losses[1] * torch.inf
    with pytest.raises(ValueError, match="the loss of task 1 is not finite: inf"):
        backward(losses, NashMTL(), model.trunk.parameters())
    # A square root at zero: a finite loss with an infinite gradient.
    losses = model.losses()
    losses[2] = (losses[2] * 0).sqrt()
    with pytest.raises(ValueError, match="the gradient of task 2 is not finite: nan"):
        backward(losses, NashMTL(), model.trunk.parameters())
    assert all(p.grad is None for p in model.parameters())


def test_mistakes():
    model = Model()
    shared, z = list(model.trunk.parameters()), model.features()
    losses = model.losses(z)

    def fails(message, *arguments, **options):
        with pytest.raises(ValueError, match=re.escape(message)) as error:
            backward(*arguments, **options)
        assert "\n" not in str(error.value)

    fails("losses need at least one task, got none", [], MGDA(), shared)
    fails("losses need the shape [T] with T >= 1, got []", losses[0], MGDA(), shared)
    fails("the loss of task 1 needs to be a scalar, got the shape [2]", [losses[0], torch.ones(2)], MGDA(), shared)
    fails("the loss of task 1 needs a graph, got one that", [losses[0], torch.tensor(1.0)], MGDA(), shared)
    fails("the loss of task 0 needs a graph", torch.stack([torch.tensor(1.0).double(), losses[0]]), MGDA(), shared)
    fails("the loss of task 0 needs a graph", torch.stack(losses).detach(), MGDA(), shared)
    no_methods: list[Any] = ["nash_mtl", NashMTL]
    for method in no_methods:
        with pytest.raises(TypeError, match="method needs to be an aggregation method such as NashMTL"):
            backward(losses, method, shared)
    no_losses: Any = {"task": losses[0]}
    with pytest.raises(TypeError, match="losses need to be a tensor"):
        backward(no_losses, MGDA(), shared)
    fails("shared needs parameters that require a gradient, got none", losses, MGDA(), [])
    fails("update_every needs to be at least 1, got update_every=0", losses, MGDA(), shared, update_every=0)
    fails("chunk_size needs to be at least 1, got chunk_size=0", losses, MGDA(), shared, chunk_size=0)
    fails("which has no weights to reuse", losses, TrimmedMean(), shared, update_every=2)
    fails("features need a graph that leads to the shared", losses, MGDA(), shared, features=z.detach())
    direct = losses[0] + model.trunk.get_parameter("0.weight").sum()
    fails("but one is used directly", [direct, *losses[1:]], MGDA(), shared, features=z)
    fails("but one is used directly", [direct, *losses[1:]], MGDA(), shared, features=z, heads=model.heads.parameters())
