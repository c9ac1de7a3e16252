"""Gram matrices at the edge: families of gradients, norms over many orders, the rounding of each dtype."""

from collections.abc import Callable

import torch
from torch import Generator, Tensor


def normal(generator: Generator, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def uniform(generator: Generator, *shape: int) -> Tensor:
    return torch.rand(*shape, generator=generator, dtype=torch.float64)


def independent(generator: Generator, T: int) -> Tensor:
    return normal(generator, T, 4 * T)


def nearly_opposite(generator: Generator, T: int) -> Tensor:
    """Cosines of about 0.999 and -0.999."""
    signs = torch.where(uniform(generator, T, 1) < 0.5, -1.0, 1.0)
    return normal(generator, 1, 4 * T) * signs + 0.03 * normal(generator, T, 4 * T)


def nearly_stationary(generator: Generator, T: int) -> Tensor:
    J = normal(generator, T, 4 * T)
    return J - (1 - 10 ** (-4 * uniform(generator, 1))) * J.mean(0)


def duplicates(generator: Generator, T: int) -> Tensor:
    return normal(generator, T, 4 * T)[torch.randint(0, max(1, T // 2), (T,), generator=generator)]


def one_zero(generator: Generator, T: int) -> Tensor:
    J = normal(generator, T, 4 * T)
    J[int(torch.randint(0, T, (1,), generator=generator))] = 0
    return J


def low_rank(generator: Generator, T: int) -> Tensor:
    """Rank one to `T - 1`."""
    return normal(generator, T, int(torch.randint(1, max(2, T), (1,), generator=generator)))


def low_rank_agreeing(generator: Generator, T: int) -> Tensor:
    """Rank one to `T - 1`, and an update that helps every task."""
    J = low_rank(generator, T)
    J[:, 0] = J[:, 0].abs() + 0.1
    return J


def opposite_pairs(generator: Generator, T: int) -> Tensor:
    J = normal(generator, T, 4 * T)
    J[: T // 2] = -J[T - T // 2 :] * uniform(generator, T // 2, 1)
    return J


def stationary(generator: Generator, T: int) -> Tensor:
    """A convex combination in which every task counts vanishes; more tasks than parameters."""
    return _closed(normal(generator, T, max(1, T // 2)), uniform(generator, T))


def weakly_stationary(generator: Generator, T: int) -> Tensor:
    """A convex combination of some of the gradients vanishes; more tasks than parameters."""
    u = uniform(generator, T)
    u[torch.randperm(T, generator=generator)[: T // 2]] = 0
    return _closed(normal(generator, T, max(1, T // 2)), u)


def _closed(J: Tensor, u: Tensor) -> Tensor:
    """With `u^T J = 0`."""
    u = u / u.norm()
    return J - torch.outer(u, u @ J)


FAMILIES: dict[str, Callable[[Generator, int], Tensor]] = {
    family.__name__: family
    for family in (
        independent,
        nearly_opposite,
        nearly_stationary,
        duplicates,
        one_zero,
        low_rank,
        low_rank_agreeing,
        opposite_pairs,
        stationary,
        weakly_stationary,
    )
}


def gram_matrix(family: str, T: int, orders: float, dtype: torch.dtype, symmetric: bool, seed: int) -> Tensor:
    """A Gram matrix of a family's gradients, `[T, T]` in `dtype`.

    Their norms are spread over so many orders of ten; rounded once, and once more in each half for itself if not
    symmetric.
    """
    generator = torch.Generator().manual_seed(seed)
    J = FAMILIES[family](generator, T) * 10 ** (orders * (uniform(generator, T, 1) - 0.5))
    gram = (J @ J.mT).to(dtype)
    if symmetric:
        return gram
    twist = torch.finfo(dtype).eps * torch.randint(-1, 2, (T, T), generator=generator)
    return (gram.double() * (1 + 0.75 * twist)).to(dtype)
