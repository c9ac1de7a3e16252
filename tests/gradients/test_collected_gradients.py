"""Gradients that are collected once: groups of parameters, parts of a batch, Gram matrices of some layers."""

from functools import partial
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.testing import assert_close

from mtrl import backward
from mtrl.aggregation import MGDA, ExcessMTL, NashMTL, PCGrad, TrimmedMean
from mtrl.distributed import RankAverage
from mtrl.gradients import collect
from tests.existing import existing
from tests.gradients.supervised import Counted, Model, T, flat
from tests.ranks import message, run_all


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


def square(num_tasks=40):
    """A parameter that a layer can apply either way round, its inputs `[num_tasks, 12]`, and a head for each task."""
    torch.manual_seed(0)
    shapes = (12, 12), (num_tasks, 12), (12, num_tasks)
    weight, x, head = (torch.randn(*shape, dtype=torch.float64) for shape in shapes)
    return weight.requires_grad_(), x, head


USES = {
    "x W": lambda x, w: x @ w,
    "x W^T": lambda x, w: x @ w.t(),
    "rows of a table": lambda x, w: nn.functional.embedding(torch.arange(len(x)) % 12, w),
    "by a function": lambda x, w: x @ w.sin(),
}
LOSSES = {
    "of the same rows": lambda use, x, w, head: [*(use(x[:3], w) @ head).tanh().mean(0)],
    "of a row each": lambda use, x, w, head: use(x, w).tanh().mean(1),
}


@pytest.mark.parametrize("second", USES)
@pytest.mark.parametrize("first", USES)
@pytest.mark.parametrize("of", LOSSES)
def test_parts_may_use_a_parameter_in_other_ways(of, first, second):
    weight, x, head = square()
    losses = [LOSSES[of](USES[use], x, weight, head) for use in (first, second)]
    rows = [torch.autograd.grad(loss, weight, retain_graph=True)[0].flatten() for part in losses for loss in part]
    J = torch.stack(rows).unflatten(0, (2, -1)).sum(0)
    collected = collect(losses[0], [weight]) + collect(losses[1], [weight])
    assert_close(collected.gram(), J @ J.T)
    weights = collected.apply(MGDA())
    assert_close(existing(weight.grad).flatten(), weights @ J)


@pytest.mark.parametrize("method", [MGDA(normalization="loss"), TrimmedMean(num_trimmed=0)])
@pytest.mark.parametrize("first", [0, 1])
def test_a_part_need_not_reach_what_the_other_does(first, method):
    """And the losses are those of both; the gradient of a sparse table stays sparse."""
    torch.manual_seed(0)
    table, weight = nn.Embedding(9, 4, sparse=True).double(), nn.Parameter(torch.rand(4, dtype=torch.float64))
    other = nn.Parameter(torch.rand(4, dtype=torch.float64))
    shared = [table.weight, weight, other]

    def parts():
        looked_up, alone = (table(torch.tensor([1, 2])) * weight).tanh().sum(1), (other * weight).exp()[:2]
        return [looked_up + 2, alone][:: 1 if first else -1]

    rows = [torch.autograd.grad(loss, shared, retain_graph=True) for loss in sum(parts())]
    J = torch.stack([torch.cat([(g.to_dense() if g.is_sparse else g).flatten() for g in row]) for row in rows])
    collected = [collect(part, shared) for part in parts()]
    (collected[0] + collected[1]).apply(method)
    gradients = [existing(p.grad) for p in shared]
    assert [g.is_sparse for g in gradients] == [True, False, False]
    weights = torch.full((2,), 0.5).double() if isinstance(method, TrimmedMean) else method(J @ J.T, sum(parts()))
    assert_close(torch.cat([(g.to_dense() if g.is_sparse else g).flatten() for g in gradients]), weights @ J)


def test_parts_are_of_the_same_parameters_and_tasks():
    model, rule = Model(), "need the same shared parameters, in the same order, and as many tasks"
    layers = [model.trunk[0], model.trunk[3]]
    parts = [collect(model.losses(), given) for given in (layers, layers[::-1], layers[:1])]
    for part in [*parts[1:], collect(model.losses()[:1], layers)]:
        with pytest.raises(ValueError, match=rule):
            _ = parts[0] + part
        with pytest.raises(ValueError, match=rule):
            _ = part + parts[0]


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("of", LOSSES)
def test_inputs_that_are_overwritten_before_the_method_is_asked(of, use):
    """By the next part of a batch in the same memory, say."""
    weight, x, head = square()
    losses = LOSSES[of](USES[use], x, weight, head)
    J = torch.stack([torch.autograd.grad(loss, weight, retain_graph=True)[0].flatten() for loss in losses])
    collected = collect(losses, [weight])
    x.mul_(3)
    if use.startswith("x W"):
        for wrong in (collected.gram, lambda: collected.apply(MGDA()), lambda: collected + collected):
            with pytest.raises(ValueError, match="an input of a layer was changed in place after collect"):
                wrong()
        assert weight.grad is None
    else:
        assert_close(collected.gram(), J @ J.T)


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


@pytest.mark.parametrize("scale", ["mean", "unit", 0.3])
def test_a_groups_update_has_a_length(scale):
    model = Model()
    (first, J), _ = parts(model)
    length = J.mean(0).norm().item() if scale == "mean" else 1.0 if scale == "unit" else scale
    for max_norm in (2 * length, length / 2):
        model.zero_grad()
        weights = collect(model.losses(), model.trunk).apply(MGDA(), first, scale=scale, max_norm=max_norm)
        assert_close(gradient(first).norm().item(), min(length, max_norm))
        assert_close(gradient(first), weights @ J)


def test_state_follows_the_names():
    model, named, placed = Model(), ExcessMTL(), ExcessMTL()
    for tasks, order in ((["a", "b", "c"], [0, 1, 2]), (["c", "a", "b"], [2, 0, 1])):
        losses = model.losses()
        weights = collect([losses[i] for i in order], model.trunk).apply(named, tasks=tasks)
        assert_close(weights, collect(model.losses(), model.trunk).apply(placed)[order])


def test_with_a_scaler_gradients_are_left_scaled():
    """Of two parts of a batch, with a method for each group; the weights are those without."""
    results = []
    for scaler in (None, torch.amp.GradScaler("cpu", init_scale=2.0**20)):
        model = Model()
        optimizer = torch.optim.SGD(model.parameters(), 1e-3)
        (first, _), (last, _) = parts(model)
        found = []
        for rows in (slice(0, 8), slice(8, 16)):
            given = Model()
            model.x, model.targets = given.x[rows], given.targets[:, rows]
            found.append(collect([loss / 2 for loss in model.losses()], model.trunk, scaler=scaler))
        collected = found[0] + found[1]
        weights = collected.apply(NashMTL(), first), collected.apply(TrimmedMean(), last)
        if scaler is not None:
            scaler.unscale_(optimizer)
            scaler.step(optimizer)
        results.append((weights[0], collected.gram(), *model.gradients()))
    assert_close(*results)


def test_an_overflow_is_a_skipped_step():
    model, scaler = Model(), torch.amp.GradScaler("cpu", init_scale=2.0**20)
    optimizer = torch.optim.SGD(model.parameters(), 1e-3)
    before = flat(model.parameters()).clone()
    losses = model.losses()
    collected = collect([losses[0] * torch.inf, *losses[1:]], model.trunk, scaler=scaler)
    assert collected.apply(MGDA()).isnan().all()
    scaler.step(optimizer)
    scaler.update()
    assert_close(flat(model.parameters()), before)
    assert scaler.get_scale() < 2.0**20


def collected_on_a_rank(rows: slice, average: RankAverage | None) -> dict[str, object]:
    """Two parts of the rows, a method for each group: of the Gram matrix, the gradients, other Gram matrices."""
    results: dict[str, object] = {}
    for scaler in (None, torch.amp.GradScaler("cpu", init_scale=2.0**16)):
        model = Model()
        (first, _), (last, _) = parts(model)
        x, targets = model.x[rows].chunk(2), model.targets[:, rows].chunk(2, 1)
        found = []
        for model.x, model.targets in zip(x, targets, strict=True):
            losses = [loss / 2 for loss in model.losses()]
            found.append(collect(losses, model.trunk, heads=model.heads, average=average, scaler=scaler))
        collected = found[0] + found[1]
        weights = [
            collected.apply(NashMTL(), first, scale="mean"),
            collected.apply(TrimmedMean(), last),
            collected.apply(MGDA(), last, compared_at=first),
        ]
        results[f"{scaler is None}"] = weights, collected.gram(last), model.gradients()
    return results


def on_a_rank(number: int) -> dict[str, object]:
    return collected_on_a_rank(slice(8 * number, 8 * number + 8), RankAverage())


def said(number: int) -> dict[str, object]:
    """What ranks that do not do the same are told."""
    told = partial(message, kinds=(TypeError, ValueError))
    model, average = Model(), RankAverage()
    losses = model.losses()
    losses[1] = losses[1] * (torch.nan if number else 1)
    some: list[Any] = [None if number else losses[0], *model.losses()[1:]]
    collected = collect(model.losses(), model.trunk, heads=model.heads, average=average)
    other = model.trunk[3] if number else model.trunk[0]
    return {
        "other methods": told(lambda: collected.apply(NashMTL() if number else MGDA())),
        "other groups": told(lambda: collected.apply(MGDA(), other)),
        "one mistaken": told(lambda: collected.apply(MGDA(), model.heads if number else None)),
        "absent": told(lambda: collect(some, model.trunk, heads=model.heads, average=average)),
        "a nan": told(lambda: collect(losses, model.trunk, heads=model.heads, average=average)),
        "gradients": [p.grad for p in model.trunk.parameters()],
    }


needs_ranks = pytest.mark.skipif(not dist.is_available(), reason="torch without distributed")


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict]]:
    jobs = {"on_a_rank": on_a_rank, "said": said, "both_ways": both_ways}
    return run_all(jobs, tmp_path_factory.mktemp("ranks"))


@needs_ranks
def test_two_ranks_apply_what_one_process_does(two_ranks: dict[str, list[dict]]) -> None:
    expected = collected_on_a_rank(slice(0, 16), None)
    for results in two_ranks["on_a_rank"]:
        assert_close(results, expected, equal_nan=True)


@needs_ranks
def test_what_ranks_disagree_in_is_an_error_on_each(two_ranks: dict[str, list[dict]]) -> None:
    parts = {
        "other methods": "rank 1: NashMTL(solver='newton') for the shared parameters ['0', '1', '2', '3']",
        "other groups": "['0', '1'], compared at ['0', '1']; rank 1: ",
        "one mistaken": "ValueError: group needs shared parameters that were collected, got 6 others",
        "absent": "ValueError: collect needs a loss of every task",
        "a nan": "the loss of task 1 is not finite: nan",
    }
    for number, messages in enumerate(two_ranks["said"]):
        assert messages.pop("gradients") == [None] * 4, number
        assert messages.keys() == parts.keys()
        for name, part in parts.items():
            own = name == "one mistaken" and number == 1
            assert (part.removeprefix("ValueError: ") if own else part) in messages[name], name


@needs_ranks
def test_backward_does_the_same(two_ranks: dict[str, list[dict]]) -> None:
    for results in two_ranks["both_ways"]:
        assert_close(results["collect"], results["backward"], rtol=0, atol=0, equal_nan=True)


def both_ways(number: int) -> dict[str, object]:
    results: dict[str, object] = {}
    for way in ("collect", "backward"):
        found = []
        for method in (NashMTL(), TrimmedMean()):
            model = Model()
            rows = slice(8 * number, 8 * number + 8)
            model.x, model.targets = model.x[rows], model.targets[:, rows]
            losses, trunk, heads, average = model.losses(), model.trunk, model.heads, RankAverage()
            if way == "collect":
                weights = collect(losses, trunk, heads=heads, average=average).apply(method)
            else:
                weights = backward(losses, method, trunk, heads=heads, average=average)
            found.append((weights, *model.gradients()))
        results[way] = found
    return results
