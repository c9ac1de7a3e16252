"""What a training loop sees of a bad solve without asking each time."""

import pytest
import torch
from torch import Tensor
from torch._dynamo.utils import get_compilation_metrics

from mtrl import aggregation
from mtrl.aggregation import FairGrad, Method
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
    method(hard())
    residual = method.solve(hard()).residual
    assert 1e-12 < residual < 1e-5
    torch.testing.assert_close(method.worst_residual, residual, rtol=10, atol=0)


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
    torch.testing.assert_close(method.worst_residual, alone.worst_residual, rtol=10, atol=1e-13)


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
        torch.testing.assert_close(method.worst_residual, plain.worst_residual, rtol=10, atol=1e-13)
    assert "worst_residual" not in plain.state_dict()
