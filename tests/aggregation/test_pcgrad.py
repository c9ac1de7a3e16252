"""PCGrad against the algorithm as printed; its random orders."""

from collections import Counter

import numpy as np
import pytest
import torch

from mtrl.aggregation import PCGrad
from mtrl.aggregation.solvers.random_stream import random_key, random_orders
from tests.aggregation.gradients import conflicting, gram, solvable
from tests.oracles.pcgrad import pcgrad_update


@pytest.mark.parametrize("T", [2, 3, 10])
def test_algorithm(T: int) -> None:
    for seed in range(5):
        J, method = conflicting(T, seed), PCGrad(seed=seed)
        orders = random_orders(method.key, method.step, T).numpy()
        expected = pcgrad_update(J.numpy(), orders)
        np.testing.assert_allclose(method(gram(J)) @ J, expected, atol=1e-10 * J.norm())


def test_weights_are_at_least_one() -> None:
    for _, J in solvable(10):
        assert (PCGrad()(gram(J)) >= 1).all()


def test_same_seed_same_bits_and_another_order_each_call() -> None:
    G = gram(conflicting(6))
    first, second, other = PCGrad(seed=3), PCGrad(seed=3), PCGrad(seed=4)
    a, b = first(G), first(G)
    assert torch.equal(a, second(G))
    assert torch.equal(b, second(G))
    assert not torch.equal(a, b)
    assert not torch.equal(a, other(G))


def test_orders_are_uniform() -> None:
    # Each of the 6 orders of 3 tasks, for each task: 1000 +- 29 (one standard deviation) times in 6000 draws.
    counts = Counter[tuple[int, tuple[int, ...]]]()
    for step in range(6000):
        for task, order in enumerate(random_orders(random_key(7), torch.tensor(step), 3).tolist()):
            assert sorted(order) == [0, 1, 2]
            counts[task, tuple(order)] += 1
    assert len(counts) == 18
    assert all(abs(count - 1000) < 5 * 29 for count in counts.values())


def test_orders_of_tasks_and_steps_are_independent() -> None:
    seen = torch.stack([random_orders(random_key(0), torch.tensor(step), 3) for step in range(2000)])
    first = seen[..., 0]
    for a, b in ((first[:, 0], first[:, 1]), (first[1:, 0], first[:-1, 0])):
        agree = (a == b).double().mean().item()
        assert abs(agree - 1 / 3) < 5 * (2 / 9 / len(a)) ** 0.5
