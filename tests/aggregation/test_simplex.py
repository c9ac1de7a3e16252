"""The projection on the simplex, and the two methods that move their weights on it: SDMGrad and MoCo."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch

from mtrl.aggregation import MGDA, MoCo, SDMGrad
from mtrl.aggregation.solvers.simplex import project_on_simplex
from mtrl.gradients import TaskGradients
from tests.aggregation.gradients import conflicting, gram, normal
from tests.aggregation.test_closed_forms import close
from tests.existing import existing
from tests.oracles.simplex_steps import moco_updates, sdm_grad_weights, simplex_projection


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_projection(scale: float) -> None:
    points = scale * normal(20, 7)
    expected = np.stack([simplex_projection(point) for point in points.numpy()])
    np.testing.assert_allclose(project_on_simplex(points), expected, atol=1e-9)


def test_projection_keeps_the_simplex_and_forgets_a_shift() -> None:
    w = torch.tensor([0.5, 0.0, 0.2, 0.3], dtype=torch.float64)
    close(project_on_simplex(w), w)
    torch.testing.assert_close(project_on_simplex(w + 4096), w, rtol=0, atol=1e-12)
    close(project_on_simplex(torch.tensor([2.0, 0.0, -1.0])), torch.tensor([1.0, 0.0, 0.0]))


@pytest.mark.parametrize(("lr", "momentum", "preferred"), [(10.0, 0.5, False), (0.1, 0.0, True)])
@pytest.mark.parametrize("T", [2, 3, 10])
def test_sdm_grad_algorithm(T: int, lr: float, momentum: float, preferred: bool) -> None:
    p, w = np.arange(T, dtype=float) if preferred else np.full(T, 1 / T), np.full(T, 1 / T)
    method = SDMGrad(0.3, lr, momentum, num_steps=7, preference=p.tolist() if preferred else None)
    for seed in range(4):
        first, second = (conflicting(T, seed) + 0.3 * normal(T, 4 * T, seed=s) for s in (10 + seed, 20 + seed))
        w = sdm_grad_weights(first.numpy(), second.numpy(), w, 0.3 * p, lr, momentum, 7)
        np.testing.assert_allclose(method(first @ second.mT), w + 0.3 * p, atol=1e-9)


def test_sdm_grad_reads_rows_from_the_first_batch() -> None:
    cross = conflicting(4) @ conflicting(4, 1).mT
    assert not torch.allclose(SDMGrad(learning_rate=0.1)(cross), SDMGrad(learning_rate=0.1)(cross.mT))


def test_sdm_grad_without_a_pull_goes_to_mgda() -> None:
    J, method = conflicting(4), SDMGrad(lam=0.0, learning_rate=0.1, momentum=0.0, num_steps=500)
    for _ in range(4):
        weights = method(gram(J))
    torch.testing.assert_close(weights, MGDA()(gram(J)), rtol=0, atol=1e-6)


def test_sdm_grad_minimises_towards_the_mean() -> None:
    # w minimises |J^T (w + lam p)|^2 on the simplex: its slope is lowest, and equal, where w > 0.
    J, lam = conflicting(5), 0.7
    weights = SDMGrad(lam=lam, learning_rate=0.1, momentum=0.0, num_steps=3000)(gram(J))
    slope, held = gram(J) @ weights, weights > lam / 5 + 1e-9
    close(weights.sum(), torch.tensor(1 + lam, dtype=torch.float64))
    torch.testing.assert_close(slope[held], slope.min().expand(int(held.sum())), rtol=1e-6, atol=0)


def leaves(J: torch.Tensor) -> dict[str, torch.Tensor]:
    """The first columns as a matrix, the others as a vector."""
    return {"trunk.weight": J[:, :6].reshape(len(J), 2, 3), "trunk.bias": J[:, 6:]}


def flat(gradients: Mapping[str, torch.Tensor]) -> torch.Tensor:
    return torch.cat([gradient.flatten(1) for gradient in gradients.values()], 1)


@pytest.mark.parametrize("steps", [(0.3, 0.0, 0.2, 0.0), (1.5, 0.5, 0.2, 0.7)])
def test_moco_algorithm(steps: tuple[float, float, float, float]) -> None:
    method = MoCo(*steps, rho=0.1)
    batches = [conflicting(3, seed) for seed in range(6)]
    for J, expected in zip(batches, moco_updates([J.numpy() for J in batches], *steps, 0.1), strict=True):
        direction, _ = method.direction(TaskGradients(leaves(J)), torch.ones(3))
        assert {name: g.shape for name, g in direction.items()} == {name: g[0].shape for name, g in leaves(J).items()}
        np.testing.assert_allclose(torch.cat([g.flatten() for g in direction.values()]), expected, atol=1e-9)


def test_moco_estimates_average_noise_away() -> None:
    truth, method, errors = conflicting(3), MoCo(beta=1.0, beta_decay=1.0), []
    for seed in range(200):
        y = flat(method.estimated(leaves(truth + normal(*truth.shape, seed=seed)), torch.ones(3)))
        errors.append((y - truth).norm())
    assert errors[-1] < 0.2 * errors[0]  # steps of 1/k make the mean of k: 1/14 of the error after 200


def test_moco_state_resumes_with_its_estimates() -> None:
    method, resumed = MoCo(), MoCo()
    for seed in range(3):
        method(gram(flat(method.estimated(leaves(conflicting(3, seed)), torch.ones(3)))))
    resumed.load_state_dict(method.state_dict())
    for seed in range(3, 6):
        y, z = (m.estimated(leaves(conflicting(3, seed)), torch.ones(3)) for m in (method, resumed))
        assert torch.equal(flat(y), flat(z))
        assert torch.equal(method(gram(flat(y))), resumed(gram(flat(z))))


def test_moco_a_bad_gradient_is_seen_and_forgotten() -> None:
    method, J = MoCo(), conflicting(3)
    method.estimated(leaves(J), torch.ones(3))
    before = existing(method.estimates).clone()
    bad = J.clone()
    bad[1, 2] = torch.nan
    assert not flat(method.estimated(leaves(bad), torch.ones(3)))[1].isfinite().all()
    estimates = existing(method.estimates)
    assert torch.equal(estimates[1], before[1])
    assert estimates.isfinite().all()


def test_moco_of_gram_matrices_alone_goes_to_mgda() -> None:
    J, method = conflicting(4), MoCo(gamma=0.2, gamma_decay=0.0)
    for _ in range(2000):
        weights = method(gram(J))
    torch.testing.assert_close(weights, MGDA()(gram(J)), rtol=0, atol=1e-6)
