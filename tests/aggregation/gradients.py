"""Task gradients to test on, `[T, P]` float64: from easy to as hard as training gets."""

from collections.abc import Iterator

import torch
from torch import Tensor


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def conflicting(T: int, seed: int = 0) -> Tensor:
    """Independent but for most of their mean, which is removed: many pairs conflict, yet nothing is stationary."""
    J = normal(T, 4 * T, seed=seed)
    return J - 0.9 * J.mean(0)


def solvable(T: int, seed: int = 0) -> Iterator[tuple[str, Tensor]]:
    """Families on which zero is not in the convex hull of the gradients that are not zero."""
    J = normal(T, 4 * T, seed=seed)
    spread = 10 ** (4 * torch.rand(T, 1, generator=generator(seed), dtype=torch.float64) - 2)
    flat = normal(T, max(1, T // 2), seed=seed + 1)
    flat[:, 0] = flat[:, 0].abs() + 0.3
    double = J.clone()
    double[-1] = double[T // 2] = double[0]
    hole = J.clone()
    hole[T // 3] = 0
    yield "independent", J
    yield "correlated", J + normal(4 * T, seed=seed + 2)
    yield "norms of 1e-6", J * 1e-6
    yield "norms of 1e6", J * 1e6
    yield "spread of 1e4", J * spread
    yield "spread of 1e4 around 1e-6", J * spread * 1e-6
    yield "spread of 1e4 around 1e6", J * spread * 1e6
    yield "more tasks than parameters", flat
    yield "more tasks than parameters, spread", flat * spread
    yield "nearly stationary", J - 0.99 * J.mean(0)
    yield "duplicates", double
    yield "duplicates, spread", double * spread
    yield "one zero", hole


def stationary(T: int, seed: int = 0) -> Iterator[tuple[str, Tensor]]:
    """Families on which a convex combination of the gradients vanishes."""
    J = normal(T, 4 * T, seed=seed)
    closed = J.clone()
    closed[-1] = -J[:-1].sum(0)
    opposite = J.clone()
    opposite[1] = -2 * J[0]
    yield "they sum to zero", closed
    yield "two are opposite", opposite


def gram(J: Tensor) -> Tensor:
    return J @ J.mT
