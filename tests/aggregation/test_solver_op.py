"""The solvers as operators: what the host guesses is what the device computes; batches, vmap, compiled steps."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mtrl.aggregation import MGDA, CAGrad, Method, NashMTL
from mtrl.aggregation.solvers import nonnegative_qp
from mtrl.aggregation.solvers.dual_cone import dual_cone_projection, dual_cone_residual
from mtrl.aggregation.solvers.min_norm import min_norm_point
from mtrl.aggregation.solvers.random_stream import random_key, random_orders
from mtrl.aggregation.solvers.solver_op import SOLVERS
from tests.aggregation.gradients import conflicting, gram, normal, solvable, stationary

EPS = torch.finfo(torch.float64).eps

CALLS: dict[str, Callable[[Tensor], tuple[Any, ...]]] = {
    "nash_bargaining": lambda G: (G, EPS),
    "min_norm_point": lambda G: (G, torch.ones_like(G[..., 0])),
    "cagrad_offset": lambda G: (G, 0.5),
    "dual_cone_projection": lambda G: (G, torch.eye(G.shape[-1]).to(G).expand_as(G)),
}
OPERATORS = {name: getattr(torch.ops.mtrl, name) for name in CALLS}
NAMES = sorted(CALLS)


def orders(G: Tensor) -> Tensor:
    return random_orders(random_key(0), torch.tensor(0), G.shape[-1])


ON_DEVICES = CALLS | {
    "fair_allocation": lambda G: (G, 2.0, EPS),
    "aligned_weights": lambda G: (G, torch.ones_like(G[..., 0]), "min", EPS),
    "conflict_free_weights": lambda G: (G, EPS),
    "impartial_weights": lambda G: (G, EPS),
    "project_conflicts": lambda G: (G, orders(G), torch.ones_like(G[..., 0])),
    "vaccinate": lambda G: (G, orders(G), torch.stack((torch.eye(len(G)), 0.3 * torch.eye(len(G)))).to(G), EPS),
}
"""Other functions that are written twice in places, for arrays and for tensors, or call what is."""


def families(T: int, seed: int = 0) -> dict[str, Tensor]:
    """Gram matrices by name, also of gradients that cancel."""
    return {name: gram(J) for name, J in (*solvable(T, seed), *stationary(T, seed))}


def update(G: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """`|sum_i (a_i - b_i) g_i|` over the lengths of its summands."""
    difference = (((a - b) @ G) * (a - b)).sum(-1).clamp(min=0).sqrt()
    norms = G.diagonal(dim1=-2, dim2=-1).sqrt()
    return difference / ((a.abs() + b.abs()) @ norms + norms.max()).clamp(min=torch.finfo(G.dtype).tiny)


@pytest.mark.parametrize("T", [2, 3, 10, 50])
@pytest.mark.parametrize("name", ON_DEVICES)
def test_host_and_device_agree(name: str, T: int) -> None:
    operator = getattr(torch.ops.mtrl, name)
    for family, G in families(T).items():
        if name == "cagrad_offset" and family == "they sum to zero":
            continue  # the mean is rounding, and so is its direction
        host, device = operator(*ON_DEVICES[name](G)), SOLVERS[name](*ON_DEVICES[name](G))
        assert update(G, host, device).max() <= 1e-7, family


@pytest.mark.parametrize("name", NAMES)
def test_batch_equals_loop(name: str) -> None:
    for T in (2, 7):
        matrices = torch.stack(list(families(T).values())).unflatten(0, (3, -1))
        batch = OPERATORS[name](*CALLS[name](matrices))
        for i, row in enumerate(matrices):
            for j, G in enumerate(row):
                one = OPERATORS[name](*CALLS[name](G))
                assert one.shape == batch[i, j].shape
                assert update(G, one, batch[i, j]).max() <= 1e-7


@pytest.mark.parametrize("T", [50, 66])
def test_batch_equals_loop_with_more_programs_of_a_matrix_than_are_solved_at_a_time(T: int) -> None:
    matrices = torch.stack([gram(conflicting(T, seed)) for seed in range(2)])
    each = torch.eye(T).double()
    batch = dual_cone_projection(matrices, each.expand_as(matrices))
    for G, of_batch in zip(matrices, batch, strict=True):
        assert update(G, dual_cone_projection(G, each), of_batch).max() <= 1e-7


@pytest.mark.parametrize("name", NAMES)
def test_empty_batch(name: str) -> None:
    G = torch.empty(2, 0, 3, 3, dtype=torch.float64)
    assert OPERATORS[name](*CALLS[name](G)).shape[:3] == (2, 0, 3)


@pytest.mark.parametrize("name", NAMES)
def test_vmap(name: str) -> None:
    matrices = torch.stack([gram(conflicting(5, seed)) for seed in range(6)]).view(2, 3, 5, 5)
    expected = OPERATORS[name](*CALLS[name](matrices))
    mapped = torch.vmap(torch.vmap(lambda G: OPERATORS[name](*CALLS[name](G))))(matrices)
    assert torch.equal(mapped, expected)
    inner = torch.vmap(lambda G: OPERATORS[name](*CALLS[name](G)), in_dims=1)(matrices)
    assert torch.equal(inner, expected.movedim(1, 0))


def test_vmap_over_one_argument() -> None:
    G, normalizers = gram(conflicting(4)), torch.rand(3, 4, dtype=torch.float64)
    mapped = torch.vmap(min_norm_point, in_dims=(None, 0))(G, normalizers)
    assert torch.equal(mapped, min_norm_point(G.expand(3, 4, 4), normalizers))


@pytest.mark.parametrize("name", NAMES)
def test_is_a_proper_operator(name: str) -> None:
    torch.library.opcheck(OPERATORS[name].default, CALLS[name](gram(conflicting(4))))
    torch.library.opcheck(OPERATORS[name].default, CALLS[name](gram(conflicting(4)).expand(2, 3, 4, 4)))


@pytest.mark.parametrize("name", NAMES)
def test_a_bad_matrix_spoils_no_other(name: str) -> None:
    good = gram(conflicting(4))
    bad = [torch.full_like(good, torch.nan), torch.zeros_like(good), torch.ones_like(good)]
    both = OPERATORS[name](*CALLS[name](torch.stack([good, *bad, good])))
    expected = OPERATORS[name](*CALLS[name](good))
    for weights in (both[0], both[-1]):
        torch.testing.assert_close(weights, expected, rtol=1e-9, atol=1e-12)
    assert both[2:4].isfinite().all()


def test_strides_do_not_matter() -> None:
    G = gram(normal(4, 9)).repeat_interleave(2, 0)[::2]
    assert not G.is_contiguous()
    assert torch.equal(min_norm_point(G, torch.ones(4).to(G)), min_norm_point(G.clone(), torch.ones(4).to(G)))


@pytest.mark.parametrize("T", [2, 3, 10, 50])
@pytest.mark.parametrize("guesses", [0, 12])
def test_dual_cone(T: int, guesses: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if not guesses:  # the interior-point method alone
        monkeypatch.setattr(nonnegative_qp, "_pivot", lambda matrix, linear, *_: np.full_like(linear, np.nan))
    for seed in range(3):
        for family, G in families(T, seed).items():
            U = torch.cat((torch.eye(T), torch.ones(1, T) / T, torch.zeros(1, T))).double()
            U = torch.cat((U, normal(2, T, seed=seed + 9)))
            W = dual_cone_projection(G, U)
            assert W.isfinite().all(), family
            assert dual_cone_residual(G, U, W) <= 1e-9, family
            if family == "they sum to zero":
                assert ((W @ G) * W).sum(-1).abs().sqrt().max() < 1e-6 * G.trace().sqrt()


def test_dual_cone_residual_sees_a_violation() -> None:
    G, U = gram(conflicting(5)), torch.eye(5).double()
    W = dual_cone_projection(G, U)
    for wrong in (W + 1e-4, W - 1e-4, U):
        assert dual_cone_residual(G, U, wrong) > 1e-6


@pytest.mark.parametrize("method", [NashMTL(), MGDA(), CAGrad()])
def test_a_compiled_training_step(method: Method) -> None:
    def step(parameters: Tensor, data: Tensor) -> Tensor:
        losses = (data @ parameters).square()
        jacobian = torch.stack([torch.autograd.grad(loss, parameters, retain_graph=True)[0] for loss in losses])
        with torch.no_grad():
            weights = method(jacobian @ jacobian.mT)
            return parameters - 0.1 * weights @ jacobian

    def plain(parameters: Tensor, data: Tensor) -> Tensor:
        return step(parameters.detach().requires_grad_(), data)

    def in_one_graph(parameters: Tensor, data: Tensor) -> Tensor:
        jacobian = torch.func.jacrev(lambda p: (data @ p).square())(parameters)
        with torch.no_grad():
            return parameters - 0.1 * method(jacobian @ jacobian.mT) @ jacobian

    data, parameters = normal(3, 5), normal(5, seed=1)
    torch.compiler.reset()
    compiled = torch.compile(in_one_graph, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(parameters, data), plain(parameters, data).detach(), rtol=1e-8, atol=1e-9)
