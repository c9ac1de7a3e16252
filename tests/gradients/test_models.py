"""Every kind of model, use and method, beside a Jacobian written plainly: the update is `weights @ J`."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.testing import assert_close
from torch.utils.checkpoint import checkpoint

from mtrl import backward
from mtrl.aggregation import MGDA, GradNorm, LinearScalarization, MoCo, NashMTL, PCGrad, TrimmedMean
from mtrl.distributed import RankAverage
from tests.gradients.models import MODELS, Net, T
from tests.gradients.test_distributed import needs_ranks, run
from tests.oracles.jacobian import flat, jacobian

METHODS = [NashMTL, MGDA, PCGrad, LinearScalarization, GradNorm, MoCo, TrimmedMean]
"""Solved, solved on a simplex, drawn, fixed, learned and for the heads as well, of gradients over time, coordinates."""


def made(name: str) -> Net:
    torch.manual_seed(0)
    return MODELS[name]()


def accuracy(name: str) -> dict[str, Any]:
    rtol = {"double": 1e-7, "half": 3e-2}.get(name, 1e-4)
    return {"rtol": rtol, "atol": rtol}


def expected(method: nn.Module, J: Tensor, weights: Tensor) -> Tensor:
    if isinstance(method, TrimmedMean):
        return J.median(0).values
    return weights.double() @ J


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", MODELS)
def test_plainly(name, method):
    net, used = made(name), method()
    J = jacobian(net.losses, net.shared)
    heads = [*net.heads.parameters()]
    H = jacobian(net.losses, heads)
    weights = backward(net.losses(), used, net.shared)
    assert_close(flat(net.shared), expected(used, J, weights), **accuracy(name))
    of_heads = weights.double() @ H if used.weighs_heads else H.sum(0)
    assert_close(flat(heads), of_heads, **accuracy(name))
    for p in net.shared:
        assert p.grad is None or (p.grad.dtype == p.dtype and p.grad.stride() == p.stride())


@pytest.mark.parametrize("name", [name for name in MODELS if name != "half"])
@pytest.mark.parametrize("method", [NashMTL, MGDA])
def test_the_weights_are_those_of_the_jacobian(name, method):
    net = made(name)
    J = jacobian(net.losses, net.shared)
    assert_close(backward(net.losses(), method(), net.shared).double(), method()(J @ J.T), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", [name for name in MODELS if name not in ("half", "double", "complex")])
@pytest.mark.parametrize("method", [NashMTL, LinearScalarization])
def test_under_autocast(name, method):
    net = made(name)

    def losses() -> list[Tensor]:
        with torch.autocast("cpu", torch.bfloat16):
            return net.losses()

    J = jacobian(losses, net.shared)
    weights = backward(losses(), method(), net.shared)
    error = (flat(net.shared) - weights.double() @ J).norm()
    assert error < 0.03 * (weights.double().abs() @ J.norm(dim=1))


@pytest.mark.parametrize("name", [name for name in MODELS if name not in ("half", "double", "complex")])
@pytest.mark.parametrize("method", [NashMTL, LinearScalarization])
def test_with_a_scaler_parts_of_a_batch_and_clipping(name, method):
    net = made(name)
    scaler, used = torch.amp.GradScaler("cpu", init_scale=256.0), method()
    optimizer = torch.optim.SGD([*net.shared, *net.heads.parameters()], 1.0)
    J = jacobian(net.losses, net.shared)
    weights = [backward(net.losses(), used, net.shared, scaler=scaler) for _ in range(2)]
    scaler.unscale_(optimizer)
    whole = (weights[0] + weights[1]).double() @ J
    assert_close(flat(net.shared), whole, **accuracy(name))
    clip_grad_norm_(net.shared, 0.5 * whole.norm().item())
    assert_close(flat(net.shared), 0.5 * whole, **accuracy(name))


@pytest.mark.parametrize("name", ["mlp", "conv", "attention", "low_rank"])
def test_compiled(name):
    net = made(name)
    J = jacobian(net.losses, net.shared)
    net.run = torch.compile(net.run, backend="aot_eager")
    for method in (LinearScalarization(), MGDA()):
        net.zero_grad()
        weights = backward(net.losses(), method, net.shared)
        assert_close(flat(net.shared), weights.double() @ J, **accuracy(name))


@pytest.mark.parametrize("name", [name for name in MODELS if name not in ("checkpointed", "lstm", "half")])
def test_in_batched_passes(name):
    net = made(name)
    J = jacobian(net.losses, net.shared)
    weights = backward(net.losses(), NashMTL(), net.shared, chunk_size=T)
    assert_close(flat(net.shared), weights.double() @ J, **accuracy(name))


RANKED = ["mlp", "lstm", "attention", "tied", "experts", "low_rank", "complex"]
"""Without BatchNorm, whose statistics are of a rank's rows."""


def on_half_of_the_rows(net: Net, number: int) -> Net:
    rows = slice(3 * number, 3 * number + 3)
    half = copy.deepcopy(net)
    half.inputs, half.targets = net.inputs[rows], net.targets[:, rows]
    return half


def steps(number: int) -> dict[str, object]:
    results: dict[str, object] = {}
    for name in RANKED:
        for method in (MGDA(), LinearScalarization()):
            net = on_half_of_the_rows(made(name), number)
            weights = backward(net.losses(), method, net.shared, heads=net.heads, average=RankAverage())
            results[f"{name} {method}"] = weights, flat(net.shared), flat([*net.heads.parameters()])
    return results


@needs_ranks
def test_on_two_ranks(tmp_path):
    ranks = run(steps, tmp_path)
    for name in RANKED:
        for method in (MGDA(), LinearScalarization()):
            net = made(name)
            weights = backward(net.losses(), method, net.shared, heads=net.heads)
            whole = weights, flat(net.shared), flat([*net.heads.parameters()])
            for results in ranks:
                for ours, theirs in zip(results[f"{name} {method}"], whole, strict=True):
                    assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("options", "passes"), [({}, 5), ({"chunk_size": 4}, 2), ({"features": True}, 2)])
def test_batch_norm_under_checkpoint_counts_each_pass(options: dict[str, Any], passes: int) -> None:
    """As the documentation says, and how that is to be had in one."""
    trunk, heads = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8)), nn.ModuleList(nn.Linear(8, 1) for _ in range(4))
    features = checkpoint(trunk, torch.randn(6, 4), use_reentrant=False)
    given = options | ({"features": features} if "features" in options else {})
    backward([head(features).square().mean() for head in heads], NashMTL(), trunk, **given)
    assert trunk[1].num_batches_tracked == passes
