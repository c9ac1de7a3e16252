"""The min-norm point by Frank-Wolfe, as the MGDA paper has it: slow to converge, for comparison."""

import torch
from torch import Tensor

from mtrl.aggregation.solvers.linear_algebra import bilinear, multiply

ITERATIONS = 250
"""As in the paper's code."""


def frank_wolfe(gram: Tensor) -> Tensor:
    """Minimise `w^T G w` over the simplex (Sener and Koltun 2018, algorithm 2).

    Each round moves towards the task whose gradient has the smallest inner product with the current point, by
    the exact line search between the two (algorithm 1).

    Args:
        gram: `[..., T, T]`, float64.

    Returns:
        Weights on the simplex, `[..., T]`.
    """
    T = gram.shape[-1]
    weights = torch.full_like(gram[..., 0], 1 / T)
    for _ in range(ITERATIONS):
        inner = multiply(gram, weights)
        vertex = torch.nn.functional.one_hot(inner.argmin(-1), T).to(gram.dtype)
        towards = vertex - weights
        curvature = bilinear(towards, gram, towards)
        slope = -(inner * towards).sum(-1, keepdim=True)
        step = torch.where(curvature > 0, slope / curvature, 0.0).clamp(0, 1)
        weights = weights + step * towards
    return weights
