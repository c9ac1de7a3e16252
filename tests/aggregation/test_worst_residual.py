"""What a training loop sees of a bad solve without asking each time."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch._dynamo.utils import get_compilation_metrics

from mtrl import aggregation
from mtrl.aggregation import FairGrad, Method
from mtrl.aggregation.solvers.linear_algebra import EPS
from mtrl.aggregation.solvers.nash_bargaining import nash_bargaining
from mtrl.aggregation.solvers.solver_op import SOLVERS
from tests.aggregation.gradients import conflicting, gram, normal, stationary

NAMES = ["cagrad", "dual_proj", "fair_grad", "mgda", "nash_mtl", "upgrad"]


def new(name: str) -> Method:
    method = aggregation.make(name)
    assert isinstance(method, Method)
    return method


def hard() -> Tensor:
    """Nearly stationary: rounding leaves a residual."""
    J = normal(10, 40)
    return gram(J - 0.9999 * J.mean(0))


def unsolvable() -> Tensor:
    """FairGrad's weights would spread over hundreds of orders."""
    J = normal(10, 40) * 10 ** torch.linspace(-70, 70, 10).double()[:, None]
    return gram(J)


def assert_alike(noted: Tensor, expected: Tensor) -> None:
    """Both are rounding, of other formulas or in another order: of one size, or too small to tell."""
    assert (expected - 1e-13) / 10 <= noted <= 10 * expected + 1e-13


@pytest.mark.parametrize("name", NAMES)
def test_is_the_largest_of_all_calls(name: str) -> None:
    method = new(name)
    assert method.worst_residual == 0
    method(gram(conflicting(4)))
    easy = method.worst_residual.clone()
    assert 0 <= easy < 1e-12
    method(torch.stack((gram(conflicting(10)), hard())))
    worst = method.worst_residual.clone()
    assert easy <= worst < 1e-5
    method(gram(conflicting(4)))
    assert method.worst_residual == worst
    method.worst_residual.zero_()
    method(gram(conflicting(4)))
    assert method.worst_residual == easy


@pytest.mark.parametrize("name", ["nash_mtl", "fair_grad"])
def test_is_the_residual_of_the_solution(name: str) -> None:
    method = new(name)
    method(gram(conflicting(4)))  # whose residual is smaller
    method(hard())
    residual = method.solve(hard()).residual
    assert 1e-12 < residual < 1e-5
    assert_alike(method.worst_residual, residual)


@pytest.mark.parametrize("name", ["cagrad", "dual_proj", "mgda", "upgrad"])
def test_what_a_solver_falls_short_of_is_noted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Theirs are down to rounding on any matrix, but not if the program is not solved."""

    def unsolved(matrix: Any, linear: Any) -> Any:
        return np.ones_like(linear)

    for module in ("dual_cone", "min_norm"):
        monkeypatch.setattr(f"mtrl.aggregation.solvers.{module}.nonnegative_qp", unsolved)
    monkeypatch.setattr(
        "mtrl.aggregation.solvers.cagrad_offset._guessed", lambda C, f, b, c: (0 * f, np.ones_like(f[..., :1]))
    )
    method = new(name)
    method(torch.tensor([[1.0, -2.7], [-2.7, 9.0]]))
    assert method.worst_residual > 1e-2


def test_a_device_notes_what_the_host_does() -> None:
    host, device = torch.zeros(2, dtype=torch.float64)
    spoilt = torch.stack((torch.full((10, 10), torch.nan, dtype=torch.float64), hard()))
    for G in (gram(conflicting(4)), spoilt, gram(conflicting(4))):
        nash_bargaining(G, EPS, host)
        SOLVERS["nash_bargaining"](G, EPS, device)
    assert host > 1e-12
    assert_alike(device, host)


def test_tells_of_a_matrix_that_was_not_solved_and_not_of_a_stationary_one() -> None:
    method = FairGrad(alpha=2.0)
    for _, J in stationary(5):
        assert not method(gram(J)).any()
    assert method.worst_residual < 1e-9
    method(unsolvable())
    assert method.worst_residual > 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_a_matrix_that_is_not_finite_does_not_hide_the_others(name: str) -> None:
    method, alone = new(name), new(name)
    alone(hard())
    method(torch.stack((torch.full((10, 10), torch.nan, dtype=torch.float64), hard())))
    assert_alike(method.worst_residual, alone.worst_residual)


@pytest.mark.parametrize("name", NAMES)
def test_under_vmap_compiled_in_half_precision_and_without_values(name: str) -> None:
    plain, mapped, half, compiled = (new(name) for _ in range(4))
    plain(hard())
    torch.vmap(mapped)(hard().expand(3, 10, 10))
    half.half()(hard())
    torch.compiler.reset()
    torch.compile(compiled, fullgraph=True, backend="aot_eager")(hard())
    assert not get_compilation_metrics()[-1].restart_reasons  # or all that is compiled with it would be traced twice
    plain(torch.empty(5, 5, device="meta"))
    plain(torch.empty(0, 5, 5))
    for method in (mapped, half, compiled):
        assert_alike(method.worst_residual, plain.worst_residual)
    assert "worst_residual" not in plain.state_dict()
