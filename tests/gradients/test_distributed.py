"""Two processes with a part of every task's rows each take the step of one process with all of them, or say why not."""

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.testing import assert_close

from mtrl import aggregation, backward
from mtrl.aggregation import MGDA, LinearScalarization, NashMTL, UncertaintyWeighting
from mtrl.distributed import RankAverage
from tests.gradients.supervised import Model
from tests.ranks import message, run, run_all

METHODS = {"nash_mtl": NashMTL, "mgda_ub": MGDA, "uncertainty_weighting": UncertaintyWeighting}
needs_ranks = pytest.mark.skipif(not dist.is_available(), reason="torch without distributed")


def step(name: str, rows: slice, average: RankAverage | None) -> tuple[torch.Tensor, ...]:
    model = Model()
    model.x, model.targets = model.x[rows], model.targets[:, rows]
    z = model.features()
    features = z if name == "mgda_ub" else None
    weights = backward(
        torch.stack(model.losses(z)), METHODS[name](), model.trunk.parameters(), features=features, average=average
    )
    return weights, *model.gradients()


def steps(number: int) -> dict[str, object]:
    return {name: step(name, slice(8 * number, 8 * number + 8), RankAverage()) for name in METHODS}


class Experts(nn.Module):
    """A rank's rows go through an expert of the rank's own."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.trunk = nn.Linear(4, 4)
        self.experts = nn.ModuleList(nn.Linear(4, 4, bias=False) for _ in range(2))
        self.heads = nn.ModuleList(nn.Linear(4, 1) for _ in range(2))
        self.double()

    def losses(self, expert: int) -> list[torch.Tensor]:
        generator = torch.Generator().manual_seed(10 + expert)
        x = torch.randn(8, 4, generator=generator, dtype=torch.float64)
        return [(head(self.experts[expert](self.trunk(x))) + 1).pow(2).mean() for head in self.heads]

    def gradients(self) -> list[torch.Tensor | None]:
        return [p.grad for p in self.parameters()]


def experts(number: int) -> dict[str, object]:
    results: dict[str, object] = {}
    for method in (NashMTL(), LinearScalarization([1, 1])):
        for where in ("heads", "shared"):
            model = Experts()
            shared = [model.trunk, model.experts] if where == "shared" else [model.trunk]
            heads = [model.heads] if where == "shared" else [model.experts, model.heads]
            weights = backward(model.losses(number), method, shared, heads=heads, average=RankAverage())
            results[f"{method} {where}"] = weights, model.gradients()
    return results


def said(number: int) -> dict[str, object]:
    """What backward says of ranks that do not do the same."""
    model, plain, average = Experts(), Model(), RankAverage()
    x = torch.randn(8, 4, dtype=torch.float64)
    held = NashMTL()
    if number:
        backward(plain.losses(), held, plain.trunk, update_every=2)
    wrapped = nn.parallel.DistributedDataParallel(nn.Linear(4, 4).double())
    z = wrapped(x)
    losses = plain.losses()
    losses[1] = losses[1] * (torch.nan if number else 1)
    copied = Model()
    for head in copied.heads:
        head.load_state_dict(copied.heads[0].state_dict())

    def some(tasks: list[int]) -> list[torch.Tensor | None]:
        return [loss if task in tasks else None for task, loss in enumerate(copied.losses())]

    trunk_or_row = plain.trunk if number else plain.trunk.get_parameter("0.weight")[0]
    return {
        "other heads": message(lambda: backward(model.losses(number), MGDA(), model.trunk, average=average)),
        "other numbers": message(
            lambda: backward(plain.losses()[number:], MGDA(), plain.trunk, heads=plain.heads, average=average)
        ),
        "one task each, of copied heads": message(
            lambda: backward(some([number]), MGDA(), copied.trunk, average=average)
        ),
        "one task in common": message(
            lambda: backward(some([number, number + 1]), MGDA(), copied.trunk, average=average)
        ),
        "one mistaken": message(lambda: backward(plain.losses(), MGDA(), trunk_or_row, average=average)),
        "other counts": message(lambda: backward(plain.losses(), held, plain.trunk, update_every=2, average=average)),
        "a nan": message(lambda: backward(losses, MGDA(), plain.trunk, average=average)),
        "wrapped": message(lambda: backward([h(z).mean() for h in model.heads], MGDA(), wrapped)),
        "wrapped parameters": message(
            lambda: backward([h(z).mean() for h in model.heads], MGDA(), wrapped.module.parameters())
        ),
    }


def absent(number: int) -> dict[str, object]:
    """Task 1 has rows on rank 1 alone, task 2 nowhere; then rank 0 has none of any task."""
    model = Model()
    rows = slice(8 * number, 8 * number + 8)
    model.x, model.targets = model.x[rows], model.targets[:, rows]
    losses = model.losses()
    some = [losses[0], losses[1] if number else None, None]
    weights = backward(some, MGDA(), model.trunk, heads=model.heads, average=RankAverage())
    results: dict[str, object] = {"weights": weights, "gradients": [p.grad for p in model.parameters()]}
    torch.manual_seed(0)
    trunk, head, mine = nn.Linear(4, 6).double(), nn.Linear(6, 3).double(), [number, number + 1]
    outputs = head(trunk(model.x)).pow(2).mean(0)
    results["plain"] = torch.autograd.grad(outputs[mine].sum(), [*head.parameters()], retain_graph=True)
    some = [loss if task in mine else None for task, loss in enumerate(outputs)]
    backward(some, MGDA(), trunk, average=RankAverage())
    results["one head of all"] = [p.grad for p in head.parameters()]
    for method in (MGDA(), LinearScalarization()):
        model.zero_grad()
        all_or_none = model.losses() if number else [None] * 3
        backward(all_or_none, method, model.trunk, heads=model.heads, average=RankAverage())
        results[str(method)] = model.gradients()
    return results


def of_method(name: str, rows: slice, average: RankAverage | None) -> tuple[torch.Tensor, ...]:
    """Two steps of a method, the second with what it remembers of the first."""
    model, method = Model(), aggregation.make(name)
    model.x, model.targets = model.x[rows], model.targets[:, rows]
    for _ in range(2):
        weights = backward(model.losses(), method, model.trunk, heads=model.heads, average=average)
    return weights, *model.gradients()


def every_method(number: int) -> dict[str, object]:
    count = 16 // dist.get_world_size()
    return {
        name: of_method(name, slice(count * number, count * (number + 1)), RankAverage())
        for name in aggregation.METHODS
    }


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict]]:
    jobs = {"steps": steps, "every_method": every_method, "experts": experts, "absent": absent, "said": said}
    return run_all(jobs, tmp_path_factory.mktemp("ranks"))


@needs_ranks
def test_two_ranks_take_the_step_of_one(two_ranks: dict[str, list[dict]]) -> None:
    for results in two_ranks["steps"]:
        for name in METHODS:
            assert_close(results[name], step(name, slice(0, 16), None))


@needs_ranks
@pytest.mark.parametrize("ranks", [2, 4])
def test_every_method_takes_the_step_of_one_process(
    two_ranks: dict[str, list[dict]], tmp_path: Path, ranks: int
) -> None:
    """Up to the rounding of sums in another order: 1e-7 of float64 gradients, solvers included."""
    found = two_ranks["every_method"] if ranks == 2 else run(every_method, tmp_path, ranks)
    assert len(found) == ranks
    for name in aggregation.METHODS:
        expected = {name: of_method(name, slice(0, 16), None)}
        for results in found:
            assert_close({name: results[name]}, expected, equal_nan=True)


@needs_ranks
def test_parameters_that_one_rank_reaches_count_zero_on_the_other(two_ranks: dict[str, list[dict]]) -> None:
    ranks = two_ranks["experts"]
    for name in ranks[0]:
        whole = Experts()
        losses = [(a + b) / 2 for a, b in zip(whole.losses(0), whole.losses(1), strict=True)]
        method = NashMTL() if "Nash" in name else LinearScalarization([1, 1])
        shared = [whole.trunk, whole.experts] if "shared" in name else whole.trunk
        weights = backward(losses, method, shared)
        for ours, gradients in (results[name] for results in ranks):
            assert_close(ours, weights)
            assert_close(gradients, whole.gradients())


@needs_ranks
def test_a_task_may_be_absent_on_a_rank(two_ranks: dict[str, list[dict]]) -> None:
    ranks = two_ranks["absent"]
    whole = Model()
    x, targets = whole.x, whole.targets
    halves = []
    for rows in (slice(0, 8), slice(8, 16)):
        whole.x, whole.targets = x[rows], targets[:, rows]
        halves.append(whole.losses())
    weights = backward([(halves[0][0] + halves[1][0]) / 2, halves[1][1] / 2, None], MGDA(), whole.trunk)
    for results in ranks:
        assert_close(results["weights"], weights)
        assert_close(results["gradients"], [p.grad for p in whole.parameters()])
    plain = [[g / 2 for g in results["plain"]] for results in ranks]
    for results in ranks:
        assert_close(results["one head of all"], [a + b for a, b in zip(*plain, strict=True)])
    for method in (MGDA(), LinearScalarization()):
        whole.zero_grad()
        backward([loss / 2 for loss in whole.losses()], method, whole.trunk)
        for results in ranks:
            assert_close(results[str(method)], whole.gradients())


@needs_ranks
def test_what_ranks_disagree_in_is_an_error_on_each(two_ranks: dict[str, list[dict]]) -> None:
    parts = {
        "other heads": "the ranks reach different heads",
        "one task each, of copied heads": "the ranks have losses of other tasks",
        "one task in common": "the ranks have losses of other tasks",
        "other numbers": "the ranks need to do the same in backward, got rank 0: ",
        "one mistaken": "rank 0: TypeError: shared needs to be a module",
        "other counts": "weights kept for None calls",
        "a nan": "the loss of task 1 is not finite: nan",
        "wrapped": "a parameter is in DistributedDataParallel",
        "wrapped parameters": "a parameter is in DistributedDataParallel",
    }
    for messages in two_ranks["said"]:
        assert messages.keys() == parts.keys()
        for name, part in parts.items():
            assert part in messages[name], name
