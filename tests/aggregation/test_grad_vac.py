"""GradVac against the algorithm as printed; its targets."""

import numpy as np
import pytest
import torch

from mtrl.aggregation import GradVac, PCGrad
from mtrl.aggregation.solvers.random_stream import random_orders
from tests.aggregation.gradients import conflicting, gram, normal
from tests.aggregation.test_closed_forms import close, pair
from tests.existing import existing
from tests.oracles.grad_vac import grad_vac_update


@pytest.mark.parametrize("beta", [0.01, 0.5])
@pytest.mark.parametrize("T", [2, 3, 10])
def test_algorithm(T: int, beta: float) -> None:
    method, targets = GradVac(beta=beta, seed=3), np.zeros((T, T))
    for seed in range(5):
        J = conflicting(T, seed) + (seed % 2) * normal(4 * T)
        orders = random_orders(method.key, method.step, T).numpy()
        expected = grad_vac_update(J.numpy(), orders, targets, beta)
        np.testing.assert_allclose(method(gram(J)) @ J, expected, atol=1e-9 * J.norm())
        assert method.targets is not None
        np.testing.assert_allclose(method.targets, targets, atol=1e-9)


def test_first_call_is_pcgrad() -> None:
    G = gram(conflicting(6))
    close(GradVac(seed=5)(G), PCGrad(seed=5)(G))


@pytest.mark.parametrize(("before", "now"), [(0.8, 0.3), (0.5, -0.9), (-0.2, -0.7)])
def test_a_pair_reaches_the_target_cosine(before: float, now: float) -> None:
    method = GradVac(beta=1.0)
    method(pair(before))
    J = torch.tensor([[1.0, 0.0], [3 * now, 3 * (1 - now**2) ** 0.5]]).double()
    w = method(gram(J))
    # Each of the two is turned towards the other as it was: by the share of the other that the weights tell.
    first, second = J[0] + (w[1] - 1) * J[1], J[1] + (w[0] - 1) * J[0]
    for turned, other in ((first, J[1]), (second, J[0])):
        close(torch.nn.functional.cosine_similarity(turned, other, dim=0), torch.tensor(before, dtype=torch.float64))


def test_targets_at_the_cosine_change_nothing() -> None:
    method, G = GradVac(beta=1.0), gram(normal(1, 8).expand(5, 8))
    for _ in range(5):
        close(method(G), torch.ones(5))  # identical gradients: the targets are one
    assert method(gram(conflicting(5))).isfinite().all()  # a target of one is out of reach


def test_bad_steps_and_zero_gradients_leave_the_targets() -> None:
    method, G = GradVac(), gram(conflicting(4))
    method(G)
    before = existing(method.targets).clone()
    method(G * torch.nan)
    assert torch.equal(existing(method.targets), before)
    G[2] = G[:, 2] = 0
    method(G)
    targets = existing(method.targets)
    assert torch.equal(targets[2], before[2])
    assert torch.equal(targets[:, 2], before[:, 2])
    assert not torch.equal(targets[0], before[0])


def test_leading_axes_have_their_own_targets() -> None:
    batch = torch.stack([gram(conflicting(4, seed)) for seed in range(3)])
    method, alone = GradVac(), GradVac()
    for _ in range(3):
        weights, expected = method(batch), alone(batch[1])
        torch.testing.assert_close(weights[1], expected, rtol=1e-9, atol=0)
    with pytest.raises(ValueError, match=r"has been used with a targets of shape \[3, 4, 4\], got \[4, 4\]"):
        method(batch[0])
