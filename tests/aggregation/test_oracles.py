"""Against convex programs solved by cvxpy, and against the papers' procedures."""

import numpy as np
import pytest
import torch

from mtrl.aggregation import MGDA, CAGrad, NashMTL
from tests.aggregation.gradients import conflicting, gram, solvable

pytest.importorskip("cvxpy")  # the extra `reference`
from tests.oracles.aggregation import cagrad_update, min_norm_update, nash_update

CASES = [(T, seed) for T in (2, 3, 10) for seed in range(3)]


@pytest.mark.parametrize(("T", "seed"), CASES)
def test_nash(T: int, seed: int) -> None:
    J = conflicting(T, seed)
    expected = nash_update(J.numpy())
    np.testing.assert_allclose(NashMTL()(gram(J)) @ J, expected, atol=1e-4 * float(np.linalg.norm(expected)))


@pytest.mark.parametrize(("T", "seed"), CASES)
def test_mgda(T: int, seed: int) -> None:
    J = conflicting(T, seed)
    expected = min_norm_update(J.numpy())
    np.testing.assert_allclose(MGDA()(gram(J)) @ J, expected, atol=1e-4 * float(np.linalg.norm(expected)))


@pytest.mark.parametrize("c", [0.1, 0.5, 0.9])
@pytest.mark.parametrize(("T", "seed"), CASES)
def test_cagrad(T: int, seed: int, c: float) -> None:
    J = conflicting(T, seed)
    expected = cagrad_update(J.numpy(), c)
    update = (CAGrad(c=c)(gram(J)) @ J).numpy()
    np.testing.assert_allclose(update, expected, atol=1e-3 * float(np.linalg.norm(expected)))
    # The smallest gain is at least the oracle's.
    scale = np.linalg.norm(J.mean(0)) * np.linalg.norm(J, axis=1).min()
    assert (J.numpy() @ update).min() >= (J.numpy() @ expected).min() - 1e-6 * scale


@pytest.mark.parametrize("family", ["independent", "correlated", "spread of 1e4", "one zero", "norms of 1e-6"])
def test_the_papers_nash_procedure_agrees(family: str) -> None:
    J = dict(solvable(4))[family]
    newton, paper = NashMTL()(gram(J)), NashMTL(solver="ccp")(gram(J))
    torch.testing.assert_close(paper, newton, rtol=1e-4, atol=0)


def test_the_papers_nash_procedure_takes_one_matrix() -> None:
    with pytest.raises(ValueError, match=r"takes one matrix \[T, T\]"):
        NashMTL(solver="ccp")(torch.eye(2).expand(3, 2, 2))
