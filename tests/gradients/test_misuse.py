"""What would be wrong without a word is an error, and nothing has changed."""

import copy
import re
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from mtrl import backward
from mtrl.aggregation import FAMO, MGDA, NashMTL, PCGrad, make
from mtrl.gradients import collect, update
from mtrl.runs.section import MethodConfig
from tests.gradients.supervised import Model


@pytest.fixture
def model():
    return Model()


def fails(message, *arguments, kind=ValueError, **options):
    with pytest.raises(kind, match=re.escape(message)) as error:
        backward(*arguments, **options)
    assert "\n" not in str(error.value)


def test_shared_parameters_that_no_loss_reaches(model):
    message = "shared needs parameters that the losses depend on, but no loss reaches one of them"
    fails(message, model.losses(), MGDA(), copy.deepcopy(model.trunk))
    averaged = torch.optim.swa_utils.AveragedModel(model.trunk)
    for parameter in averaged.parameters():
        parameter.requires_grad_()
    fails(message, model.losses(), MGDA(), averaged)


def test_what_is_no_parameter(model):
    losses, weight = model.losses(), model.trunk[0].weight
    fails("shared needs to be a module or a list of parameters, got a tensor", losses, MGDA(), weight, kind=TypeError)
    fails("is made of others: a representation goes to features", losses, MGDA(), list(weight))
    pairs = model.trunk.named_parameters()
    fails("got a tuple among them: parameters(), not named_parameters()", losses, MGDA(), pairs, kind=TypeError)
    named = dict(model.trunk.named_parameters())
    fails("got a str among them: parameters(), not named_parameters()", losses, MGDA(), named, kind=TypeError)
    used_up = model.trunk.parameters()
    backward(losses, MGDA(), used_up, retain_graph=True)
    fails("got none (an iterator serves one call only)", losses, MGDA(), used_up)


def test_modules_may_be_several(model):
    first, second = Model(), model
    backward(first.losses(), MGDA(), [first.trunk[0], first.trunk[3]])
    backward(second.losses(), MGDA(), second.trunk)
    assert all(torch.equal(a, b) for a, b in zip(first.gradients(), second.gradients(), strict=True))


def test_a_parameter_that_is_shared_and_a_head(model):
    fails("but 4 are in shared and in heads", model.losses(), MGDA(), model.trunk, heads=model)


def test_losses_without_a_graph(model):
    with torch.no_grad():
        losses = model.losses()
    fails("the loss of task 0 needs a graph, got one that", losses, MGDA(), model.trunk)
    here = [*model.losses()[:2], torch.zeros(())]
    fails("under torch.no_grad(); None stands for a task that is absent", here, MGDA(), model.trunk)
    there = model.losses()
    with torch.inference_mode():
        fails("no gradients under torch.inference_mode(): call outside of it", there, MGDA(), model.trunk)
    losses = model.losses()
    fails(
        "the loss of task 2 needs to be a scalar tensor, got float",
        [*losses[:2], 0.0],
        MGDA(),
        model.trunk,
        kind=TypeError,
    )


def test_losses_that_are_complex(model):
    losses = model.losses()
    losses[1] = losses[1].to(torch.complex128)
    fails("the loss of task 1 needs to be a real number, got torch.complex128", losses, MGDA(), model.trunk)
    fails("the loss of task 0 needs to be a real number", torch.stack(losses), MGDA(), model.trunk)


@pytest.mark.parametrize("method", ["nash_mtl", NashMTL, None])
def test_what_is_no_method(model, method):
    message = re.escape(f"method needs to be an aggregation method such as NashMTL(), got {method!r}")
    with pytest.raises(TypeError, match=message):
        collect(model.losses(), model.trunk).apply(method)
    with pytest.raises(TypeError, match=message):
        update(model.losses(), method)


@pytest.mark.parametrize("name", ["update_every", "chunk_size"])
@pytest.mark.parametrize("count", [2.5, "2", None, float("nan"), float("inf")])
def test_a_count_is_a_whole_number(model, name, count):
    message = f"{name} needs to be a whole number, got {name}={count!r}"
    fails(message, model.losses(), NashMTL(), model.trunk, kind=TypeError, **{name: count})


def test_counts_of_numpy_and_torch(model):
    twos: list[Any] = [np.int64(2), torch.tensor(2)]
    for two in twos:
        method = NashMTL()
        first = backward(model.losses(), method, model.trunk, update_every=two, chunk_size=two)
        losses = [factor * loss for factor, loss in zip((1, 2, 3), model.losses(), strict=True)]
        assert torch.equal(backward(losses, method, model.trunk, update_every=two, retain_graph=True), first)
        assert not torch.allclose(backward(losses, method, model.trunk, update_every=two), first)


def test_what_are_no_features(model):
    def refused(message, features, kind=TypeError):
        fails(message, model.losses(), MGDA(), model.trunk, kind=kind, features=features)

    refused("features need to be tensors, got a str among them", "z")
    refused("features need to be tensors, got a float64 among them", np.ones(3))
    refused("features need to be tensors, got int", 3)
    refused("features need at least one tensor, got none", [], kind=ValueError)


def test_every_tensor_has_its_device_whatever_the_default(model):
    """`meta` stands for a GPU that is the default device, while a model is on the CPU."""
    twin = copy.deepcopy(model)
    expected = backward(twin.losses(), NashMTL(), twin.trunk)
    losses = model.losses()
    with torch.device("meta"):
        method = NashMTL()
        for _ in range(3):
            assert torch.equal(backward(losses, method, model.trunk, update_every=2, retain_graph=True), expected)
        assert torch.equal(collect(losses, model.trunk).apply(method), expected)


def test_losses_that_are_not_apart(model):
    whole = "got [], one number: the tasks' losses apart are needed, not their sum"
    fails(whole, sum(model.losses()), MGDA(), model.trunk)
    named = dict(enumerate(model.losses()))
    fails("got dict: list(losses.values()) is one", named, MGDA(), model.trunk, kind=TypeError)


@pytest.mark.parametrize("name", ["db_mtl", "excess_mtl", "moco"])
def test_gradients_at_features_are_not_to_be_remembered(model, name):
    z, method = model.features(), make(name)
    message = f"{method} remembers the gradients of other samples: features needs to be None"
    fails(message, model.losses(z), method, model.trunk, features=z)


@pytest.mark.parametrize("name", ["db_mtl", "moco"])
def test_weights_for_gradients_that_are_remembered(model, name):
    message = f"1 with {make(name)}, whose weights are for gradients that it remembers, got update_every=2"
    fails(message, model.losses(), make(name), model.trunk, update_every=2)
    with pytest.raises(ValueError, match=f"must be 1 with {name}, whose weights are for gradients that it remembers, "):
        MethodConfig(name=name, update_every=2)


def test_a_method_that_learns_at_every_step(model):
    message = (
        "update_every needs to be 1 with FAMO(learning_rate=0.025, gamma=0.001), which learns at every step, got up"
    )
    fails(message, model.losses(), FAMO(), model.trunk, update_every=2)


def test_losses_that_a_scaler_has_scaled():
    model, scaler = Model(dtype=torch.float32), torch.amp.GradScaler("cpu")
    message = "the losses look as if scaler.scale had multiplied them by 65536"
    fails(message, scaler.scale(model.losses()), MGDA(), model.trunk)
    fails(message, scaler.scale(torch.stack(model.losses())), MGDA(), model.trunk, scaler=scaler)
    backward([loss * 65536 for loss in model.losses()], MGDA(), model.trunk)
    backward([loss * torch.tensor(0.3) for loss in model.losses()], MGDA(), model.trunk)


def test_two_groups_without_heads(model):
    losses = model.losses()
    backward(losses, MGDA(), model.trunk[0], retain_graph=True)
    fails("heads need to be given where backward is called several times", losses, NashMTL(), model.trunk[3])
    stacked = torch.stack(model.losses())
    backward(stacked, MGDA(), model.trunk[0], retain_graph=True)
    fails("heads need to be given where backward is called several times", stacked, NashMTL(), model.trunk[3])
    joint = torch.stack([head(model.trunk(model.x)).mean() for head in model.heads]) * 2
    backward(joint, MGDA(), model.trunk[0], retain_graph=True)
    fails("heads need to be given where backward is called several times", joint, NashMTL(), model.trunk[3])


def test_two_groups_with_heads(model):
    J, plain = model.jacobian(), Model()
    losses = model.losses()
    first = backward(losses, MGDA(), model.trunk[0], heads=model.heads, retain_graph=True)
    second = backward(losses, NashMTL(), model.trunk[3], heads=[])
    split = sum(p.numel() for p in model.trunk[0].parameters())
    torch.testing.assert_close(model.gradients()[0], torch.cat((first @ J[:, :split], second @ J[:, split:])))
    torch.testing.assert_close(model.gradients()[1], plain.head_gradients())


def test_reentrant_checkpoints(model):
    z = checkpoint(model.trunk, model.x.requires_grad_(), use_reentrant=True)
    fails("checkpoint(use_reentrant=True) fills .grad by itself", model.losses(z), MGDA(), model.trunk)
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("kind", [np.int32, np.int64, np.uint8, np.uint64])
def test_seeds_of_numpy(kind):
    assert torch.equal(PCGrad(seed=kind(7)).key, PCGrad(seed=7).key)


def test_a_function_of_a_user_may_have_attributes_of_any_name(model):
    class Named(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.name, ctx.variable = "mine", "mine"
            return x * 1

        @staticmethod
        def backward(ctx, gradient):
            return gradient

    backward(model.losses(Named.apply(model.trunk(model.x))), MGDA(), model.trunk)
    assert isinstance(model.trunk[0].weight.grad, torch.Tensor)
    assert isinstance(model, nn.Module)
