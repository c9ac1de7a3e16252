"""UPGrad and DualProj: closed forms, certificates, the convex programs."""

import numpy as np
import pytest
import torch

from mtrl.aggregation import DualProj, Method, PCGrad, UPGrad
from mtrl.aggregation.solvers.dual_cone import dual_cone_projection
from mtrl.aggregation.solvers.likely_supports import likely_supports
from tests.aggregation.gradients import conflicting, gram, normal, solvable, stationary
from tests.aggregation.test_closed_forms import close, equiangular, pair

METHODS = [UPGrad(), DualProj()]


@pytest.mark.parametrize("cosine", [-1.0, -0.9, -0.3, 0.0, 0.5, 1.0])
def test_two_tasks_is_half_of_pcgrad(cosine: float) -> None:
    close(UPGrad()(pair(cosine)), PCGrad()(pair(cosine)) / 2)


@pytest.mark.parametrize("cosine", [-0.9, -0.3, 0.0, 0.5])
def test_dual_proj_two_tasks(cosine: float) -> None:
    # The mean loses its part against the gradient that it conflicts with, which can only be the shorter one.
    excess = max(0.0, -(1 + 3 * cosine)) / 2
    close(DualProj()(pair(cosine)), torch.tensor([0.5 + excess, 0.5], dtype=torch.float64))


@pytest.mark.parametrize("method", METHODS)
def test_without_conflict_it_is_the_mean(method: Method) -> None:
    close(method(equiangular(0.3)), torch.full((4,), 0.25))


def test_upgrad_is_linear_in_the_lengths() -> None:
    J = conflicting(6)
    scales = torch.logspace(-2, 2, 6).double()
    update = UPGrad()(gram(scales[:, None] * J)) @ (scales[:, None] * J)
    torch.testing.assert_close(update, UPGrad(preference=(scales / 6).tolist())(gram(J)) @ J, rtol=1e-9, atol=1e-9)


def test_published_example() -> None:
    J = torch.tensor([[-4.0, 1, 1], [6, 1, 1]]).double()
    torch.testing.assert_close(
        UPGrad()(gram(J)) @ J, torch.tensor([0.292398, 1.900585, 1.900585]).double(), rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("T", [2, 3, 10, 50])
@pytest.mark.parametrize("method", METHODS)
def test_certificate(method: Method, T: int) -> None:
    for seed in range(3):
        for name, J in (*solvable(T, seed), *stationary(T, seed)):
            solution = method.solve(gram(J))
            assert solution.residual <= 1e-9, f"{name}, seed {seed}: {solution.residual:.1e}"
            assert (solution.weights >= 1 / T * (1 - 1e-12)).all(), name
            norms = J.norm(dim=1)
            gains = J @ (solution.weights @ J)
            assert (gains >= -1e-8 * norms * norms.max()).all(), name


@pytest.mark.parametrize("method", METHODS)
def test_zero_where_every_task_counts_in_a_vanishing_combination(method: Method) -> None:
    for T in (2, 3, 10, 50):
        J = dict(stationary(T))["they sum to zero"]
        solution = method.solve(gram(J))
        assert solution.stationary
        assert (solution.weights @ J).norm() < 1e-9 * J.norm()


def test_a_wrong_answer_has_a_residual() -> None:
    G = gram(conflicting(6))
    for method in METHODS:
        weights = method(G)
        assert method.residual(G, None, weights) <= 1e-9
        weights[2] += 1e-3
        assert method.residual(G, None, weights) > 1e-5


def test_single_precision() -> None:
    for seed in range(5):
        J = normal(8, 4, seed=seed).float()  # twice as many as coordinates: the matrix is singular and rounded
        for method in METHODS:
            update = method(gram(J)) @ J
            exact = method(gram(J.double())) @ J.double()
            torch.testing.assert_close(update.double(), exact, rtol=0, atol=1e-3 * J.norm().item())


@pytest.mark.parametrize(("T", "seed"), [(T, seed) for T in (2, 3, 10) for seed in range(3)])
def test_convex_program(T: int, seed: int) -> None:
    pytest.importorskip("cvxpy")  # the extra `reference`
    from tests.oracles.aggregation import dual_cone_update, upgrad_update

    J = conflicting(T, seed)
    for method, expected in (
        (UPGrad(), upgrad_update(J.numpy())),
        (DualProj(), dual_cone_update(J.numpy(), J.numpy().mean(0))),
        (DualProj(preference=[1.0, *[0.0] * (T - 1)]), dual_cone_update(J.numpy(), J.numpy()[0])),
    ):
        np.testing.assert_allclose(method(gram(J)) @ J, expected, atol=1e-5 * float(np.linalg.norm(J)))


def test_preference_is_checked() -> None:
    for method in (UPGrad, DualProj):
        with pytest.raises(ValueError, match=f"{method.__name__} needs a preference >= 0 per task, not all 0, got"):
            method(preference=[1, -1])
        with pytest.raises(ValueError, match="needs one number in preference per task, got 2 for 4"):
            method(preference=[1, 2])(equiangular(0))


@pytest.mark.parametrize("P", [50, 500])
def test_many_tasks(P: int) -> None:
    """Also where guesses fail: with fewer parameters than tasks."""
    J = normal(66, P)
    for G in (gram(J), gram(J.float()), gram(J - J.mean(0))):
        method = UPGrad()
        method(G)
        assert 0 < method.worst_residual <= 1e-9


def test_likely_supports_are_those_of_the_solutions() -> None:
    J = normal(100, 300)
    cosines = gram(J / J.norm(dim=1, keepdim=True))
    solved = dual_cone_projection(cosines, torch.eye(100).double()) - torch.eye(100)
    wrong = torch.from_numpy(likely_supports(cosines.numpy(), -cosines.numpy())) != (solved > 1e-9)
    assert wrong.float().mean() < 1e-3
    assert ((cosines < 0) != (solved > 1e-9)).float().mean() > 0.1


def test_nothing_is_said_of_supports_where_the_matrix_is_nearly_singular() -> None:
    J = normal(100, 3)
    cosines = gram(J / J.norm(dim=1, keepdim=True)).numpy()
    np.testing.assert_array_equal(likely_supports(cosines, -cosines), cosines < 0)
