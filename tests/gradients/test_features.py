"""Several representations, also where one is made of another."""

import re
from functools import partial

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from mtrl import backward
from mtrl.aggregation import MGDA, GradNorm, LinearScalarization, NashMTL, PCGrad
from tests.gradients.supervised import Model
from tests.oracles.jacobian import flat, jacobian


class Pyramid(nn.Module):
    """The second level is made of the first; heads read both."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Linear(4, 5), nn.Linear(5, 3)
        self.heads = nn.ModuleList(nn.Linear(8, 1) for _ in range(2))
        self.double()
        self.x, self.y = torch.randn(8, 4).double(), torch.randn(2, 8, 1).double()

    def levels(self):
        low = self.first(self.x).tanh()
        return [low, self.second(low).tanh()]

    def losses(self, levels=None):
        z = torch.cat(self.levels() if levels is None else levels, 1)
        return [((head(z) - y) ** 2).mean() for head, y in zip(self.heads, self.y, strict=True)]


@pytest.mark.parametrize("method", [MGDA(), PCGrad(), LinearScalarization(), GradNorm()])
def test_the_graph_of_every_head_is_freed_unless_it_is_needed_again(method):
    """While the losses are held; the last method's second backward pass weighs the heads."""
    model = Model()
    z = model.features()
    losses = model.losses(z)
    backward(losses, method, model.trunk, features=z, retain_graph=True)
    once = model.gradients()
    model.zero_grad()
    backward(losses, type(method)(), model.trunk, features=z)
    assert all(map(torch.equal, once, model.gradients()))
    for loss, head in zip(losses, model.heads, strict=True):
        with pytest.raises(RuntimeError, match="a second time"):
            torch.autograd.grad(loss, list(head.parameters()))


def test_what_two_losses_go_through_before_the_features_serves_both():
    """A node, not only a parameter, that the second loss's pass needs after the first's."""
    model = Model()
    plain = model.jacobian(representation=True)
    plain[1] += plain[0]
    z = model.features()
    first, second, third = model.losses(z)
    backward([first, first + second, third], method := MGDA(), model.trunk, features=z)
    expected = method(plain @ plain.T, torch.ones(3))
    z = model.features()
    first, second, third = model.losses(z)
    weights = backward([first, first + second, third], MGDA(), model.trunk, features=z)
    assert_close(weights, expected, check_dtype=False)


@pytest.mark.parametrize("chunk_size", [1, 2])
@pytest.mark.parametrize("method", [MGDA(), NashMTL(), LinearScalarization()])
def test_nested_ones(method, chunk_size):
    model = Pyramid()
    shared = [*model.first.parameters(), *model.second.parameters()]
    J, levels = jacobian(model.losses, shared), model.levels()
    fixed = [level.detach().requires_grad_() for level in levels]
    Z = jacobian(lambda: model.losses(fixed), fixed)
    weights = backward(model.losses(levels), method, shared, features=levels, chunk_size=chunk_size)
    assert_close(weights, method(Z @ Z.T, torch.stack(model.losses())))
    assert_close(flat(shared), weights @ J)


def test_one_that_is_given_twice_counts_once():
    model, other = Model(), Model()
    z, same = model.features(), other.features()
    once = backward(model.losses(z), MGDA(), model.trunk, features=z)
    twice = backward(other.losses(same), MGDA(), other.trunk, features=[same, same])
    assert torch.equal(once, twice)
    assert_close(other.gradients()[0], model.gradients()[0])


def test_parts_of_one_operation():
    model = Model()
    J, z = model.jacobian(), model.features()
    left, right = z.split(3, 1)
    weights = backward(model.losses(torch.cat((left, right), 1)), MGDA(), model.trunk, features=[left, right])
    assert_close(model.gradients()[0], weights @ J)
    left, right = model.features().split(3, 1)
    with pytest.raises(ValueError, match="one is used directly"):
        backward(model.losses(torch.cat((left, right), 1)), MGDA(), model.trunk, features=left)


def test_what_lies_behind_needs_to_be_shared():
    model = Pyramid()
    levels = model.levels()
    with pytest.raises(ValueError, match=re.escape("a trained one behind them is neither")):
        backward(model.losses(levels), MGDA(), model.first, features=levels)


def test_heads_behind_the_features_take_their_plain_gradient():
    """A mask of each task between the trunk and what the tasks are compared at, as in MTAN."""
    torch.manual_seed(0)
    trunk = torch.nn.Linear(4, 5).double()
    masks = torch.nn.ParameterList(torch.rand(5, dtype=torch.float64) for _ in range(2))
    heads = torch.nn.ModuleList(torch.nn.Linear(5, 1).double() for _ in range(2))
    own, x = [*masks, *heads.parameters()], torch.randn(8, 4, dtype=torch.float64)

    def forward():
        features = [trunk(x).tanh() * mask for mask in masks]
        return features, [head(z).pow(2).mean() for head, z in zip(heads, features, strict=True)]

    _, losses = forward()
    plain = torch.autograd.grad(sum(losses), own, retain_graph=True)
    of_trunk = [torch.autograd.grad(loss, trunk.weight, retain_graph=True)[0] for loss in losses]
    features, losses = forward()
    weights = backward(losses, MGDA(), trunk, features=features, heads=own)
    for parameter, gradient in zip(own, plain, strict=True):
        assert_close(parameter.grad, gradient)
    assert_close(trunk.weight.grad, sum(w * g for w, g in zip(weights, of_trunk, strict=True)))


@pytest.mark.parametrize("chunk_size", [1, 2])
@pytest.mark.parametrize("method", [MGDA(), LinearScalarization()])
def test_hooks_of_a_feature_are_met_once(method, chunk_size):
    """A hook that turns the gradient round, say: met twice, it would do nothing."""
    model = Pyramid()
    shared = [*model.first.parameters(), *model.second.parameters()]
    seen = []

    def times(factor, gradient):
        seen.append(gradient)
        return factor * gradient

    def turned(levels):
        for level, factor in zip(levels, (-1.0, 3.0), strict=True):
            level.register_hook(partial(times, factor))
        return levels

    J, levels = jacobian(lambda: model.losses(turned(model.levels())), shared), turned(model.levels())
    seen.clear()
    weights = backward(model.losses(levels), method, shared, features=levels, chunk_size=chunk_size)
    assert_close(flat(shared), weights @ J)
    assert len(seen) == 2
    assert all(len(level._backward_hooks) == 1 for level in levels)
