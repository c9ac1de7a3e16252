"""Certificates of optimality, on easy and on ill-conditioned gradients alike."""

import pytest
import torch

from mtrl.aggregation import MGDA, CAGrad, Method, NashMTL
from mtrl.aggregation.solvers.solver_op import SOLVERS as FUNCTIONS
from tests.aggregation.gradients import gram, solvable, stationary

SOLVERS = [NashMTL(), MGDA(), CAGrad(c=0.02), CAGrad(c=0.1), CAGrad(c=0.5), CAGrad(c=0.95)]


@pytest.mark.parametrize("T", [2, 3, 10, 50])
@pytest.mark.parametrize(
    "method", SOLVERS, ids=["nash_mtl", "mgda", "cagrad 0.02", "cagrad 0.1", "cagrad 0.5", "cagrad 0.95"]
)
def test_residual(method: Method, T: int) -> None:
    for seed in range(3):
        families = dict(solvable(T, seed))
        solution = method.solve(torch.stack([gram(J) for J in families.values()]))
        assert solution.iterations == method.iterations > 0
        for name, residual, weights in zip(families, solution.residual, solution.weights, strict=True):
            assert weights.isfinite().all(), f"{name}, seed {seed}"
            assert residual <= 1e-9, f"{name}, seed {seed}: {residual:.1e}"


@pytest.mark.parametrize("c", [0.02, 0.5, 0.95])
@pytest.mark.parametrize("T", [3, 10, 50])
def test_cagrad_of_the_device(T: int, c: float) -> None:
    # These seeds hold cases that need several supports: of duplicates, of a small c among long and short gradients.
    method = CAGrad(c=c)
    for seed in range(11, 19):
        families = dict(solvable(T, seed))
        G = torch.stack([gram(J) for J in families.values()])
        residuals = method.residual(G, None, 1 / T + FUNCTIONS["cagrad_offset"](G, c))
        assert dict(zip(families, (residuals > 1e-9).tolist(), strict=True)) == dict.fromkeys(families, False), seed


def test_cagrad_guesses_ordinary_matrices_right_also_where_rounding_made_them_asymmetric(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The cone program takes fifty times longer than a guess that is certain."""
    monkeypatch.setattr(
        "mtrl.aggregation.solvers.cagrad_offset.program", lambda *_: pytest.fail("no guess was certain")
    )
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        J = torch.randn(10, 40, generator=generator, dtype=torch.float64)
        rounding = 1 + 1e-7 * torch.randn(10, 10, generator=generator, dtype=torch.float64)
        assert CAGrad().solve(J @ J.mT * rounding).weights.isfinite().all()


@pytest.mark.parametrize("T", [2, 3, 10, 50])
def test_nash_gains_and_norm(T: int) -> None:
    for name, J in solvable(T):
        a = NashMTL()(gram(J))
        live = J.norm(dim=1) > 0
        gains = J @ (a @ J)
        torch.testing.assert_close(gains[live], 1 / a[live], rtol=1e-7, atol=0, msg=name)
        assert not a[~live].any()
        torch.testing.assert_close((a @ J).square().sum(), live.sum().double(), rtol=1e-7, atol=0, msg=name)


@pytest.mark.parametrize("T", [2, 3, 10, 50])
def test_stationary_is_flagged(T: int) -> None:
    for name, J in stationary(T):
        for method in (NashMTL(), MGDA()):
            solution = method.solve(gram(J))
            assert solution.stationary, f"{name}: {method}"
            assert solution.weights.isfinite().all()
        assert not NashMTL()(gram(J)).any()
        assert CAGrad()(gram(J)).isfinite().all()


@pytest.mark.parametrize("method", [NashMTL(), MGDA()])
def test_solvable_is_not_flagged(method: Method) -> None:
    for name, J in solvable(10):
        expected = name == "one zero" and isinstance(method, MGDA)
        assert method.solve(gram(J)).stationary == expected, name


def test_float32_stationary_nash_is_zero() -> None:
    # In float32 three vectors at 120 degrees sum to rounding noise, which must not become the update.
    angle = torch.tensor([0.3, 0.3 + 2.0943951, 0.3 - 2.0943951])
    J = torch.stack((angle.cos(), angle.sin()), 1)
    assert not NashMTL()(gram(J)).any()


def test_frank_wolfe_is_near() -> None:
    J = dict(solvable(10))["independent"]
    exact, paper = MGDA()(gram(J)) @ J, MGDA(solver="frank_wolfe")(gram(J)) @ J
    torch.testing.assert_close(paper, exact, rtol=0, atol=0.05 * exact.norm().item())
    assert paper.norm() > exact.norm()
