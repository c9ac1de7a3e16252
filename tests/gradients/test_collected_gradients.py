"""Gradients that are collected once: groups of parameters, parts of a batch, Gram matrices of some layers."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from mtrl.aggregation import MGDA, NashMTL, PCGrad, TrimmedMean
from mtrl.gradients import collect
from tests.existing import existing
from tests.gradients.supervised import Counted, Model, T, flat


def parts(model):
    """The trunk's two layers, and the Jacobian's columns of each."""
    first, last = model.trunk[0], model.trunk[3]
    J = model.jacobian()
    split = sum(p.numel() for p in first.parameters())
    return (first, J[:, :split]), (last, J[:, split:])


def gradient(module):
    return flat([p.grad for p in module.parameters()])


@pytest.mark.parametrize("wide", [False, True])
def test_groups_have_a_method_each_from_one_pass_per_task(wide):
    model = Model()
    if wide:  # few rows: the weights' gradients stay factors
        model.x, model.targets = model.x[:2], model.targets[:, :2]
    (first, J), (last, K) = parts(model)
    Counted.passes.clear()
    collected = collect(model.losses(), model.trunk)
    w, v = collected.apply(NashMTL(), first), collected.apply(MGDA(), last)
    assert Counted.passes["trunk"] == T
    assert_close(w, NashMTL()(J @ J.T))
    assert_close(gradient(first), w @ J)
    assert_close(gradient(last), v @ K)
    assert_close(gradient(last), MGDA()(K @ K.T) @ K)
    assert_close(model.gradients()[1], model.head_gradients())


def test_weights_for_all_from_the_gram_matrix_of_some():
    model = Model()
    (_, J), (last, K) = parts(model)
    collected = collect(model.losses(), model.trunk)
    assert_close(collected.gram(last), K @ K.T)
    weights = collected.apply(NashMTL(), compared_at=last)
    assert_close(weights, NashMTL()(K @ K.T))
    assert_close(model.gradients()[0], weights @ torch.cat((J, K), 1))


@pytest.mark.parametrize("sizes", [(8, 8), (2, 14), (1, 1, 14)])
def test_parts_of_a_batch_have_weights_of_the_whole(sizes):
    model = Model()
    J, heads = model.jacobian(), model.head_gradients()
    found, x, targets = [], model.x.split(sizes), model.targets.split(sizes, 1)
    for size, model.x, model.targets in zip(sizes, x, targets, strict=True):
        found.append(collect([loss * size / 16 for loss in model.losses()], model.trunk))
    collected = sum(found[1:], found[0])
    assert_close(collected.gram(), J @ J.T)
    weights = collected.apply(PCGrad())
    trunk, own = model.gradients()
    assert_close(trunk, weights @ J)
    assert_close(own, heads)


def test_a_rule_for_each_coordinate_may_come_after_another_method():
    model = Model()
    J = model.jacobian()
    collected = collect(model.losses(), model.trunk)
    collected.apply(MGDA())
    before = model.gradients()[0].clone()
    assert collected.apply(TrimmedMean()).isnan().all()
    assert_close(model.gradients()[0] - before, TrimmedMean()(J))


def test_mistakes_are_named_and_change_nothing():
    model = Model()
    collected = collect(model.losses(), model.trunk)
    with pytest.raises(ValueError, match="group needs shared parameters that were collected, got 6 others"):
        collected.apply(MGDA(), model.heads)
    with pytest.raises(ValueError, match=r"TrimmedMean\(.*\) reads the gradients themselves: compared_at"):
        collected.apply(TrimmedMean(), compared_at=model.trunk[0])
    model.zero_grad()
    losses = model.losses()
    with pytest.raises(ValueError, match="the loss of task 1 is not finite: nan"):
        collect([losses[0], losses[1] * torch.nan, losses[2]], model.trunk)
    wrong: list[Any] = [losses[0], None, losses[2]]
    with pytest.raises(ValueError, match="collect needs a loss of every task, got None"):
        collect(wrong, model.trunk)
    assert all(p.grad is None for p in model.parameters())


def test_tables_and_convolutions_add_up():
    torch.manual_seed(0)
    table, image = nn.Embedding(30, 4), nn.Conv2d(16, 5, 3)
    shared, head = nn.ModuleList([table, image]).double(), nn.Linear(9, 40).double()

    def losses(words, x):
        return [*head(torch.cat([table(words).mean(1), image(x).mean((2, 3))], 1)).tanh().mean(0)]

    words, x = torch.tensor([[1, 2], [2, 3], [3, 3], [9, 1]]), torch.randn(4, 16, 3, 3, dtype=torch.float64)
    whole = collect(losses(words, x), shared).gram()
    added = collect([loss / 2 for loss in losses(words[:2], x[:2])], shared)
    added = added + collect([loss / 2 for loss in losses(words[2:], x[2:])], shared)
    assert_close(added.gram(), whole)


def test_complex_and_sparse_parameters():
    torch.manual_seed(0)
    turn, table = nn.Parameter(torch.randn(4, dtype=torch.complex128)), nn.Embedding(9, 4, sparse=True).double()
    losses = [((table(torch.tensor([1, 2])) * turn).sum(0).abs() * torch.rand(4)).sum() for _ in range(3)]
    rows = [torch.autograd.grad(loss, [turn, table.weight], retain_graph=True) for loss in losses]
    collected = collect(losses, [turn, table.weight])
    weights = collected.apply(MGDA())
    assert_close(turn.grad, sum(w * row[0] for w, row in zip(weights, rows, strict=True)))
    gradient = existing(table.weight.grad)
    assert gradient.is_sparse
    assert_close(gradient.to_dense(), sum(w * row[1].to_dense() for w, row in zip(weights, rows, strict=True)))
