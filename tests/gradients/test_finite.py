"""Gradients that are not finite, and losses whose unit is far from one."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from mtrl import backward
from mtrl.aggregation import (
    FAMO,
    MGDA,
    CAGrad,
    FairGrad,
    GradNorm,
    LinearScalarization,
    Method,
    MoCo,
    NashMTL,
    PCGrad,
    TrimmedMean,
    UPGrad,
)
from mtrl.gradients import collect
from tests.existing import existing
from tests.gradients.supervised import Model, T

KINDS = [MGDA, NashMTL, MoCo, FAMO, GradNorm, LinearScalarization, TrimmedMean]


def root(z):
    """Zero, with a gradient of NaN."""
    return (z * 0).sum().sqrt()


@pytest.mark.parametrize("chunk_size", [1, 2])
@pytest.mark.parametrize("features", [False, True])
@pytest.mark.parametrize("method", KINDS)
def test_the_task_is_named_and_nothing_has_changed(method, features, chunk_size):
    if features and method.remembers_gradients:
        return  # refused
    model = Model()
    z = model.features()
    losses = model.losses(z)
    losses[1] = losses[1] + root(z)
    with pytest.raises(ValueError, match="the gradient of task 1 is not finite: nan"):
        backward(losses, method(), model.trunk, features=z if features else None, chunk_size=chunk_size)
    assert all(p.grad is None for p in model.parameters())


def test_with_weights_that_are_reused():
    model, method = Model(), NashMTL()
    backward(model.losses(), method, model.trunk, update_every=5)
    before = [existing(p.grad).clone() for p in model.parameters()]
    z = model.features()
    losses = model.losses(z)
    losses[2] = losses[2] + root(z)
    with pytest.raises(ValueError, match="the gradient of task 2 is not finite: nan"):
        backward(losses, method, model.trunk, update_every=5)
    assert all(torch.equal(existing(p.grad), g) for p, g in zip(model.parameters(), before, strict=True))
    assert int(existing(method.held_for)) == 1
    losses, own = model.losses(), nn.Parameter(torch.zeros(()))
    losses[1] = losses[1] + own.abs().mul(0).sqrt()
    with pytest.raises(ValueError, match="the gradient of task 1 is not finite: nan"):
        backward(losses, method, model.trunk, update_every=5)


@pytest.mark.parametrize("chunk_size", [1, 2])
@pytest.mark.parametrize("method", KINDS)
def test_of_a_head(method, chunk_size):
    model, own = Model(), nn.Parameter(torch.zeros(()))
    losses = model.losses()
    losses[1] = losses[1] + own.abs().mul(0).sqrt()
    with pytest.raises(ValueError, match="the gradient of task 1 is not finite: nan"):
        backward(losses, method(), model.trunk, chunk_size=chunk_size)
    assert own.grad is None


def test_a_refused_call_leaves_the_worst_residual():
    model, method = Model(), UPGrad(preference=[1, 2])
    method.worst_residual.fill_(1e-4)
    with pytest.raises(ValueError, match="one number in preference per task, got 2 for 3 tasks"):
        backward(model.losses(), method, model.trunk)
    assert method.worst_residual == 1e-4


def test_without_the_check_they_pass():
    for method in (MGDA(), LinearScalarization()):
        model = Model()
        z = model.features()
        losses = model.losses(z)
        losses[1] = losses[1] + root(z)
        backward(losses, method, model.trunk, check=False)
        assert existing(model.trunk.get_parameter("0.weight").grad).isnan().all()


@pytest.mark.parametrize("unit", [1e-22, 1e-12, 1e12, 1e18])
@pytest.mark.parametrize("method", [MGDA, NashMTL, CAGrad, UPGrad, PCGrad])
def test_the_unit_of_the_losses_changes_the_unit_of_the_update_alone(method, unit):
    model, other = Model(dtype=torch.float32), Model(dtype=torch.float32)
    weights = backward(model.losses(), method(), model.trunk, scale="unit")
    scaled = backward([loss * unit for loss in other.losses()], method(), other.trunk, scale="unit")
    assert_close(scaled / scaled.sum(), weights / weights.sum(), rtol=1e-3, atol=1e-4)
    assert_close(other.gradients()[0], model.gradients()[0], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("unit", [1e-22, 1e18])
def test_one_task_in_another_unit(unit):
    """Nash-MTL's update does not depend on it."""
    model, other = Model(dtype=torch.float32), Model(dtype=torch.float32)
    backward(model.losses(), NashMTL(), model.trunk)
    losses = other.losses()
    weights = backward([losses[0] * unit, *losses[1:]], NashMTL(), other.trunk)
    assert weights.isfinite().all()
    assert_close(other.gradients()[0], model.gradients()[0], rtol=1e-3, atol=1e-4)
    assert len(losses) == T


@pytest.mark.parametrize("options", [{}, {"scale": "mean", "max_norm": 1.0}, {"chunk_size": 3}, {"present": [1, 0, 1]}])
@pytest.mark.parametrize("method", KINDS)
def test_without_the_check_nothing_is_read_back(method, options):
    """On `meta`, where there is nothing to read."""
    used = (TrimmedMean(num_trimmed=0) if method is TrimmedMean else method()).to("meta")
    model = Model(dtype=torch.float32).to("meta")
    model.x, model.targets = model.x.to("meta"), model.targets.to("meta")
    weights = backward(model.losses(), used, model.trunk, check=False, **options)
    assert weights.is_meta
    assert all(existing(p.grad).is_meta for p in model.trunk.parameters())
    with pytest.raises((RuntimeError, NotImplementedError), match="meta"):
        backward(model.losses(), used, model.trunk, **options)


def test_a_solve_that_fails_is_an_error():
    model, method = Model(), FairGrad(alpha=2.0)
    backward(model.losses(), method, model.trunk)
    easy = method.worst_residual.clone()
    model.zero_grad()
    spread = [loss * 10.0**power for loss, power in zip(model.losses(), (-70, 0, 70), strict=True)]
    with pytest.raises(ValueError, match=r"FairGrad\(.*\) was not solved for these gradients: its residual is"):
        backward(spread, method, model.trunk)
    assert all(p.grad is None for p in model.parameters())
    assert method.worst_residual > easy
    backward(model.losses(), method, model.trunk)  # which goes on


@pytest.mark.parametrize("chunk_size", [1, 2])
def test_a_head_of_several_tasks_names_the_one(chunk_size):
    model = Model()
    both = nn.Parameter(torch.ones((), dtype=torch.float64))
    losses = model.losses()
    losses[0] = losses[0] + both * both
    losses[2] = losses[2] + (both * 0).sqrt()
    with pytest.raises(ValueError, match=r"the gradient of task 2 is not finite: (nan|inf)"):
        backward(losses, MGDA(), model.trunk, chunk_size=chunk_size)
    assert both.grad is None


def test_a_head_of_several_tasks_takes_the_sum():
    model = Model()
    both = nn.Parameter(torch.ones((), dtype=torch.float64))
    losses = model.losses()
    losses[0], losses[2] = losses[0] + 3 * both, losses[2] + 5 * both
    backward(losses, MGDA(), model.trunk)
    assert both.grad == 8
    assert_close(model.gradients()[1], model.head_gradients())


@pytest.mark.parametrize("method", [NashMTL(), PCGrad(), MGDA()], ids=str)
@pytest.mark.parametrize("call", ["backward", "collect"])
def test_a_row_that_is_no_number_and_that_no_loss_reads(method: Method, call: str) -> None:
    """Times the zeros that come back to it, it is none either: as in torch's own gradient."""
    trunk, heads = nn.Linear(128, 64), nn.ModuleList(nn.Linear(64, 1) for _ in range(3))
    inputs = torch.randn(16, 128)
    inputs[3, 5] = torch.nan
    features = trunk(inputs)[inputs.isfinite().all(1)]
    losses = [head(features).square().mean() for head in heads]
    with pytest.raises(ValueError, match="the gradient of task 0 is not finite: nan"):
        backward(losses, method, trunk) if call == "backward" else collect(losses, trunk, heads=[]).apply(method)
    assert all(x.grad is None for x in (*trunk.parameters(), *heads.parameters()))
