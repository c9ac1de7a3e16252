"""Aligned-MTL: what the aligned gradients' Gram matrix is, in closed form."""

from typing import Literal

import pytest
import torch

from mtrl.aggregation import AlignedMTL
from tests.aggregation.gradients import gram, normal, solvable
from tests.aggregation.test_closed_forms import NORMS, close, equiangular


@pytest.mark.parametrize("T", [2, 3, 10])
@pytest.mark.parametrize("scale", ["min", "median", "rmse"])
def test_aligned_gradients_are_orthogonal_and_of_one_length(scale: Literal["min", "median", "rmse"], T: int) -> None:
    J = dict(solvable(T))["correlated"]
    M = gram(J)
    # One task's preference gives its column of B.
    columns = [AlignedMTL(scale=scale, preference=row)(M) for row in torch.eye(T).tolist()]
    B = torch.stack(columns, -1)
    values = torch.linalg.eigvalsh(M)
    square = {"min": values[0], "median": values.median(), "rmse": values.mean()}[scale]
    torch.testing.assert_close(B @ M @ B, square * torch.eye(T).double(), rtol=1e-9, atol=1e-9 * square.item())
    update = AlignedMTL(scale=scale)(M) @ J
    torch.testing.assert_close(update.norm(), (square / T).sqrt(), rtol=1e-9, atol=0)


@pytest.mark.parametrize("family", ["spread of 1e4", "spread of 1e4 around 1e-6", "norms of 1e-6", "norms of 1e6"])
@pytest.mark.parametrize("T", [2, 3, 10, 50])
def test_length_on_badly_scaled_gradients(family: str, T: int) -> None:
    # sigma_min of the gradients themselves: their Gram matrix holds half as many digits of it.
    J = dict(solvable(T))[family]
    expected = torch.linalg.svdvals(J)[-1] / T**0.5
    torch.testing.assert_close((AlignedMTL()(gram(J)) @ J).norm(), expected, rtol=1e-4, atol=0)


def test_a_small_task_counts_in_single_precision() -> None:
    # Its eigenvalue is 1e-8 of the largest, below the rounding of the matrix but not of its own entries.
    J = torch.diag(torch.tensor([1.0, 1e-4]))
    close(AlignedMTL()(gram(J)), torch.tensor([1e-4, 1.0]) / 2)


def test_orthogonal() -> None:
    close(AlignedMTL()(equiangular(0)), 0.5 / 4 / NORMS)


def test_dependent_gradients_are_aligned_on_their_span() -> None:
    J = normal(6, 3)
    close((AlignedMTL()(gram(J)) @ J).norm(), _span_length(J))
    double = normal(2, 5)[[0, 1, 1, 1]]
    close((AlignedMTL()(gram(double)) @ double).norm(), _span_length(double))


def _span_length(J: torch.Tensor) -> torch.Tensor:
    """`sigma |Q p|` with `Q` the projection on the range of the Gram matrix."""
    U, S, _ = torch.linalg.svd(J, full_matrices=False)
    kept = S / S[0] > 1e-9
    return S[kept][-1] * (U[:, kept].mT.sum(-1) / len(J)).norm()


def test_preference_is_checked() -> None:
    with pytest.raises(ValueError, match="AlignedMTL needs one number in preference per task, got 2 for 4 tasks"):
        AlignedMTL(preference=[1, 2])(equiangular(0))
