"""Modules wrapped or split for several processes: the step of one process, or one line that says what to do."""

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.testing import assert_close

from mtrl import backward
from mtrl.aggregation import MGDA, LinearScalarization, NashMTL
from mtrl.distributed import RankAverage
from tests.ranks import message, run, run_all

pytestmark = pytest.mark.skipif(not dist.is_available(), reason="torch without distributed")

OPTIONS: dict[str, dict] = {
    "plain": {},
    "unused": {"find_unused_parameters": True},
    "static": {"static_graph": True},
    "views": {"gradient_as_bucket_view": True},
    "buffers": {"broadcast_buffers": False},
}
PARTS = {option: 1 if option == "static" else 2 for option in OPTIONS}  # torch wants a static graph in sync at first
WRAPPED = "a parameter is in DistributedDataParallel, which averages too late for aggregation: give backward average="
SPLIT = "which is not supported: keep the modules whole and give backward average=mtrl.distributed.RankAverage()"


class Model(nn.Module):
    """Two tasks; a layer that no loss uses."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.trunk = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 6))
        self.heads = nn.ModuleList(nn.Linear(6, 1) for _ in range(2))
        self.unused = nn.Linear(2, 2)
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        z = self.trunk(x)
        return torch.cat([head(z) for head in self.heads], 1)


def losses_of(model: nn.Module, rows: slice) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    x, targets = (torch.randn(16, size, dtype=torch.float64, generator=generator)[rows] for size in (4, 2))
    return ((model(x) - targets) ** 2).mean(0)


def trained(model: Model, wrapped: Any, method, rows: slice, average: RankAverage | None, parts: int) -> list:
    """The parameters after three steps; of the parts of a step all but the last under `no_sync`."""
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(3):
        optimizer.zero_grad()
        for part in range(parts):
            with wrapped.no_sync() if average is not None and part + 1 < parts else nullcontext():
                backward(losses_of(wrapped, rows), method, model.trunk, heads=model.heads, average=average)
        optimizer.step()
    return [p.detach() for p in model.parameters()]


METHODS = {"nash": NashMTL, "mgda": MGDA, "mean": LinearScalarization}


def averaged(number: int) -> dict[str, object]:
    """Wrapped models with an average."""
    results: dict[str, object] = {}
    for option, words in OPTIONS.items():
        for name, method in METHODS.items():
            model = Model(seed=number)  # the wrapper broadcasts those of the first rank
            wrapped = nn.parallel.DistributedDataParallel(model, **words)
            rows = slice(8 * number, 8 * number + 8)
            results[f"{option} {name}"] = trained(model, wrapped, method(), rows, RankAverage(), PARTS[option])
    return results


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict]]:
    jobs = {"averaged": averaged, "refused": refused, "apart": apart}
    return run_all(jobs, tmp_path_factory.mktemp("ranks"))


def test_a_wrapper_may_stay_where_backward_averages(two_ranks: dict[str, list[dict]]) -> None:
    for results in two_ranks["averaged"]:
        assert len(results) == len(OPTIONS) * len(METHODS)
        for name, parameters in results.items():
            model = Model()
            method = METHODS[name.split()[1]]()
            assert_close(
                parameters, trained(model, model, method, slice(0, 16), None, PARTS[name.split()[0]]), msg=name
            )


def refused(number: int) -> dict[str, object]:
    """What is said of wrapped modules without an average."""
    said: dict[str, object] = {}

    def of(losses: Tensor, shared, **words) -> str:
        return message(lambda: backward(losses, MGDA(), shared, **words))

    wrap = nn.parallel.DistributedDataParallel
    rows = slice(8 * number, 8 * number + 8)
    for option, words in OPTIONS.items():
        model = Model()
        whole = wrap(model, **words)
        said[f"whole {option}"] = of(losses_of(whole, rows), model.trunk)
        said[f"whole, heads too {option}"] = of(losses_of(whole, rows), whole.module.trunk, heads=whole.module.heads)
        said[f"past the wrapper {option}"] = of(losses_of(whole.module, rows), model.trunk)
        with whole.no_sync():
            said[f"no_sync {option}"] = of(losses_of(whole, rows), model.trunk)
        model = Model()
        trunk = wrap(model.trunk, **words)
        model.add_module("trunk", trunk)
        for name, shared in {"wrapper": trunk, "module": trunk.module}.items():
            said[f"trunk, {name} {option}"] = of(losses_of(model, rows), shared)
        said[f"trunk, parameters {option}"] = of(losses_of(model, rows), trunk.module.parameters())
        model = Model()
        model.heads[1] = wrap(model.heads[1], **words)
        said[f"a head {option}"] = of(losses_of(model, rows), model.trunk)
        said[f"a head, given {option}"] = of(losses_of(model, rows), model.trunk, heads=model.heads)
    model = Model()
    assert of(losses_of(model, rows), model.trunk) == "nothing"
    later = wrap(model)
    said["wrapped after a step"] = of(losses_of(later, rows), model.trunk)
    return said


def test_a_wrapper_is_refused_where_nothing_averages(two_ranks: dict[str, list[dict]]) -> None:
    for results in two_ranks["refused"]:
        assert len(results) == 9 * len(OPTIONS) + 1
        assert [name for name, said in results.items() if not said.startswith(WRAPPED)] == []


def apart(number: int) -> dict[str, object]:
    """Bare modules that each rank began by itself."""
    model, method = Model(seed=number), MGDA()
    losses = losses_of(model, slice(0, 8))
    return {"said": message(lambda: backward(losses, method, model.trunk, heads=model.heads, average=RankAverage()))}


def test_other_first_parameters_are_an_error(two_ranks: dict[str, list[dict]]) -> None:
    for results in two_ranks["apart"]:
        assert results["said"].startswith("the ranks' shared parameters are not the same")


SPLITS: dict[str, Callable[[Model], list[nn.Module]]] = {
    "whole": lambda model: [model],
    "layers": lambda model: [model.trunk[0], model.trunk[2]],
    "trunk": lambda model: [model.trunk],
    "heads": lambda model: [*model.heads],
}


def split(number: int) -> dict[str, object]:
    """What is said of sharded modules, which give their parameters whole after a forward pass or in parts."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard
    from torch.distributed.tensor import DTensor, distribute_tensor

    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    said: dict[str, object] = {}

    def hear(name: str, losses: Tensor, shared: nn.Module | list[nn.Parameter]) -> None:
        for which, average in {"alone": None, "averaged": RankAverage()}.items():
            said[f"{name}, {which}"] = message(partial(backward, losses, MGDA(), shared, average=average))

    for name, parts in SPLITS.items():
        for again in (True, False):
            model = Model()
            for part in parts(model):
                fully_shard(part, mesh=mesh, reshard_after_forward=again)
            before = [*model.trunk.parameters()]
            losses = losses_of(model, slice(0, 8))
            hear(f"{name}, sharded again {again}", losses, model.trunk)
            hear(f"{name}, sharded again {again}, parameters", losses, [*model.trunk.parameters()])
            hear(f"{name}, sharded again {again}, parameters of before", losses, before)
            assert all(p.grad is None for p in model.parameters())
    model = Model()
    own = nn.Parameter(distribute_tensor(torch.ones(6, dtype=torch.float64), mesh))
    square = cast(DTensor, (own * own).sum())
    losses = torch.stack([losses_of(model, slice(0, 8))[0], square.full_tensor()])
    hear("a DTensor as a head", losses, model.trunk)
    return said


@pytest.mark.parametrize("ranks", [1, 2])
def test_split_parameters_are_refused(ranks: int, tmp_path: Path) -> None:
    for results in run(split, tmp_path, ranks):
        assert len(results) == 2 * (2 * 3 * len(SPLITS) + 1)
        assert [f"{name}: {said}" for name, said in results.items() if SPLIT not in said] == []
