"""Answers known in closed form: two tasks, orthogonal and equiangular gradients."""

from typing import Literal

import pytest
import torch
from torch import Tensor

from mtrl.aggregation import MGDA, CAGrad, LinearScalarization, NashMTL, PCGrad

NORMS = torch.tensor([0.5, 1.0, 3.0, 20.0], dtype=torch.float64)


def equiangular(cosine: float) -> Tensor:
    cosines = torch.full((4, 4), cosine, dtype=torch.float64).fill_diagonal_(1)
    return cosines * NORMS * NORMS[:, None]


def pair(cosine: float, first: float = 1.0, second: float = 3.0) -> Tensor:
    inner = cosine * first * second
    return torch.tensor([[first**2, inner], [inner, second**2]], dtype=torch.float64)


def close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected.to(actual), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("cosine", [-0.3, 0.0, 0.5, 0.99])
def test_nash_equiangular(cosine: float) -> None:
    close(NashMTL()(equiangular(cosine)), 1 / (NORMS * (1 + 3 * cosine) ** 0.5))


@pytest.mark.parametrize("cosine", [-0.99, -0.5, 0.0, 0.7, 1.0])
def test_nash_two_tasks(cosine: float) -> None:
    close(NashMTL()(pair(cosine)), 1 / (torch.tensor([1.0, 3.0]).double() * (1 + cosine) ** 0.5))


def test_mgda_orthogonal() -> None:
    close(MGDA()(equiangular(0)), NORMS**-2 / (NORMS**-2).sum())


@pytest.mark.parametrize("cosine", [-1.0, -0.5, 0.0, 0.2, 1 / 3, 0.5, 1.0])
def test_mgda_two_tasks(cosine: float) -> None:
    G = pair(cosine)
    share = ((G[1, 1] - G[0, 1]) / (G[0, 0] + G[1, 1] - 2 * G[0, 1])).clamp(0, 1)
    torch.testing.assert_close(MGDA()(G), torch.stack((share, 1 - share)), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("normalization", "n"), [("l2", [2.0, 3.0]), ("loss", [5.0, 0.1]), ("loss+", [10.0, 0.3])])
def test_mgda_normalization(normalization: Literal["l2", "loss", "loss+"], n: list[float]) -> None:
    # Orthogonal: the weights of gradients g_i / n_i go as n_i^2 / |g_i|^2.
    G, losses = pair(0, 2.0, 3.0), torch.tensor([-5.0, 0.1], dtype=torch.float64)
    expected = torch.tensor(n, dtype=torch.float64) ** 2 / torch.tensor([4.0, 9.0])
    close(MGDA(normalization=normalization)(G, losses), expected / expected.sum())


def test_mgda_zero_loss_has_no_weight() -> None:
    close(MGDA(normalization="loss")(pair(0.2), torch.tensor([0.0, 2.0])), torch.tensor([0.0, 1.0]))


@pytest.mark.parametrize("cosine", [-1.0, -0.5, 0.0, 0.5])
def test_pcgrad_two_tasks(cosine: float) -> None:
    # (1 - g12 / g11) g1 + (1 - g12 / g22) g2 in conflict, else the sum.
    close(PCGrad()(pair(cosine)), 1 - min(cosine, 0) * torch.tensor([3.0, 1 / 3], dtype=torch.float64))


@pytest.mark.parametrize("cosine", [-0.9, -0.2, 0.3, 0.9])
@pytest.mark.parametrize("c", [0.0, 0.1, 0.5, 0.9])
def test_cagrad_two_equal_norms(cosine: float, c: float) -> None:
    close(CAGrad(c=c)(pair(cosine, 2.0, 2.0)), (1 + c) / 2 * torch.ones(2).double())


def test_cagrad_rescale_divides() -> None:
    G = pair(-0.5)
    plain = CAGrad(c=0.4)(G)
    close(CAGrad(c=0.4, rescale="1+c")(G), plain / 1.4)
    close(CAGrad(c=0.4, rescale="1+c^2")(G), plain / 1.16)


@pytest.mark.parametrize("c", [0.1, 0.5, 0.9])
def test_cagrad_stays_on_its_sphere(c: float) -> None:
    G = equiangular(-0.3)
    offset = CAGrad(c=c)(G) - 0.25
    close((offset @ G @ offset).sqrt(), c * G.mean().sqrt())


def test_linear_scalarization() -> None:
    close(LinearScalarization()(equiangular(0)), torch.full((4,), 0.25))
    close(LinearScalarization(weights=[1, 0, 2, -1])(equiangular(0)), torch.tensor([1.0, 0, 2, -1]))
    with pytest.raises(ValueError, match="needs one number in weights per task, got 2 for 4 tasks"):
        LinearScalarization(weights=[1, 2])(equiangular(0))
