"""Layers whose rows ranks exchange instead of gradients: the step is that of the Jacobian of all rows."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.autograd.graph import get_gradient_edge
from torch.testing import assert_close

from mtrl import backward
from mtrl.aggregation import MGDA, TrimmedMean
from mtrl.distributed import RankAverage
from mtrl.gradients import collect
from mtrl.gradients.layer_plan import plan_layers
from tests.existing import existing
from tests.gradients.test_shared_inputs import Net, T, flat_gradient, jacobian, nets
from tests.ranks import message, run

needs_ranks = pytest.mark.skipif(not dist.is_available(), reason="torch without distributed")
EXCHANGED = {name: known for name, (_, known) in nets().items() if known is not None and name != "batch norm"}
"""What is factored on one rank is exchanged by several: rows are few."""
SAMPLES = (2, 1, 3, 2)
"""Of each rank."""


def made(name: str, number: int, dtype: torch.dtype = torch.float64) -> tuple[Net, nn.Module]:
    """The same trunk and heads on every rank, with rows of its own."""
    torch.manual_seed(0)
    trunk = nets()[name][0]().to(dtype)
    trunk.x = trunk.x.to(dtype) if trunk.x.is_floating_point() else trunk.x
    heads = nn.Linear(trunk().shape[-1], T).to(dtype)
    generator = torch.Generator().manual_seed(number)
    rows = torch.randint(0, 2, (SAMPLES[number],), generator=generator)
    trunk.x = trunk.x[rows]
    if trunk.x.is_floating_point():
        trunk.x = trunk.x * (1 + torch.rand(trunk.x.shape, generator=generator, dtype=dtype))
    return trunk, heads


def losses_of(trunk: Net, heads: nn.Module) -> list[torch.Tensor]:
    return [*heads(trunk()).tanh().mean(0)]


def whole_jacobian(name: str, ranks: int) -> torch.Tensor:
    """Of the losses' means over the ranks."""
    parts = [made(name, number) for number in range(ranks)]
    return sum(jacobian(losses_of(*part), [*part[0].parameters()]) for part in parts) / ranks


def assert_step(weights: torch.Tensor, gradient: torch.Tensor, J: torch.Tensor) -> None:
    """MGDA's, whose direction is unique."""
    assert_close(gradient, weights.to(J) @ J, rtol=1e-5, atol=1e-6)  # of a rank without losses, float32
    assert_close(gradient, MGDA()(J @ J.T) @ J, rtol=1e-4, atol=1e-6)


def steps(number: int) -> dict[str, object]:
    results: dict[str, object] = {}
    average = RankAverage()
    for name in EXCHANGED:
        trunk, heads = made(name, number)
        roots = [get_gradient_edge(loss) for loss in losses_of(trunk, heads)]
        plan = plan_layers(roots, dict(trunk.layers.named_parameters()), average)
        weights = backward(losses_of(trunk, heads), MGDA(), trunk, heads=heads, average=average)
        results[name] = set(plan.parameters), weights, flat_gradient(trunk)
    return results


@needs_ranks
@pytest.mark.parametrize("ranks", [2, 4])
def test_the_step_is_that_of_the_jacobian(tmp_path: Path, ranks: int) -> None:
    of_ranks = run(steps, tmp_path, ranks)
    for name, factored in EXCHANGED.items():
        J = whole_jacobian(name, ranks)
        for results in of_ranks:
            exchanged, weights, gradient = results[name]
            assert exchanged == factored, name
            assert_step(weights, gradient, J)


def others(number: int) -> dict[str, object]:
    """Uses of the same layers that are not those of the plain step."""
    average = RankAverage()
    results: dict[str, object] = {}

    def step(
        name: str, trunk: Net, heads: nn.Module, losses: Sequence[torch.Tensor | None], method=None, **given
    ) -> None:
        weights = backward(losses, method or MGDA(), trunk, heads=heads, average=average, **given)
        results[name] = weights, flat_gradient(trunk)

    trunk, heads = made("two layers", number)
    some: list[torch.Tensor | None] = [*losses_of(trunk, heads)]
    some[0], some[1] = (some[0], None) if number else (None, some[1])
    step("absent", trunk, heads, some)
    trunk, heads = made("two layers", number)
    step("none on a rank", trunk, heads, losses_of(trunk, heads) if number else [None] * T)
    trunk, heads = made("convolution", number)
    step("other padding", trunk, heads, losses_of(padded(trunk, number), heads))
    trunk, heads = made("two layers", number)
    step("in batched passes on a rank", trunk, heads, losses_of(trunk, heads), chunk_size=1 + number)
    trunk, heads = made("two layers", number)
    step("read", trunk, heads, losses_of(trunk, heads), TrimmedMean())
    trunk, heads = made("convolution", number)
    parts = [losses_of(trunk, heads) for _ in range(2)]
    collected = [collect(losses, trunk, heads=heads, average=average) for losses in parts]
    results["parts"] = (collected[0] + collected[1]).apply(MGDA()), flat_gradient(trunk)
    for name in ("two layers", "convolution", "embedding"):
        trunk, heads = made(name, number, torch.float32)
        with torch.autocast("cpu", torch.bfloat16):
            losses = losses_of(trunk, heads)
        step(f"autocast {name}", trunk, heads, losses)
    trunk, heads = made("embedding", number)
    table = nn.Embedding(30, 4, sparse=True).double()
    table.load_state_dict(trunk.layers["one"].state_dict())
    backward([*heads(table(trunk.x).flatten(1)).tanh().mean(0)], MGDA(), table, heads=heads, average=average)
    results["sparse"] = existing(table.weight.grad).is_sparse, existing(table.weight.grad).to_dense().flatten()
    trunk, heads = made("two layers", number)
    trunk.layers["one"].register_forward_hook(spoiled if number else lambda *_: None)
    results["a nan"] = message(lambda: step("", trunk, heads, losses_of(trunk, heads)))
    results["untouched"] = all(p.grad is None for p in trunk.parameters())
    return results


def padded(trunk: Net, number: int) -> Net:
    """On the second rank the layer is used in another way, which gives as many outputs."""
    layer = trunk.layers["one"]
    assert isinstance(layer, nn.Conv2d)
    if number:
        layer.padding_mode = "circular"  # pads by itself: the convolution then has no padding
    return trunk


def spoiled(layer: nn.Module, x: object, output: torch.Tensor) -> None:
    output.register_hook(lambda gradient: gradient * torch.nan)


@needs_ranks
def test_other_uses_on_two_ranks(tmp_path: Path) -> None:
    both = run(others, tmp_path)
    J = {}
    first, second = (made("two layers", number) for number in range(2))
    of_rank = [jacobian(losses_of(*part), [*part[0].parameters()]) for part in (first, second)]
    absent = [x.clone() for x in of_rank]
    absent[0][0], absent[1][1] = 0, 0
    J["absent"] = sum(absent) / 2
    J["none on a rank"] = of_rank[1] / 2
    J["read"] = J["in batched passes on a rank"] = sum(of_rank) / 2
    first, second = made("convolution", 0), made("convolution", 1)
    padded(second[0], 1)
    J["other padding"] = sum(jacobian(losses_of(*part), [*part[0].parameters()]) for part in (first, second)) / 2
    J["parts"] = 2 * whole_jacobian("convolution", 2)
    for results in both:
        for name, expected in J.items():
            weights, gradient = results[name]
            if name == "read":
                assert_close(gradient, TrimmedMean()(expected))
                continue
            assert_step(weights, gradient, expected)
        for name in ("two layers", "convolution", "embedding"):
            weights, gradient = results[f"autocast {name}"]
            expected = whole_jacobian(name, 2).float()
            error = (gradient - weights @ expected).norm()
            assert gradient.dtype == torch.float32
            assert error < 0.03 * (weights.abs() @ expected.norm(dim=1))
        of_table = whole_jacobian("embedding", 2)
        is_sparse, gradient = results["sparse"]
        assert is_sparse
        assert_close(gradient, MGDA()(of_table @ of_table.T) @ of_table, rtol=1e-4, atol=1e-6)
        assert "the gradient of task 0 is not finite: nan" in results["a nan"]
        assert results["untouched"]
