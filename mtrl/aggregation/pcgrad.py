"""PCGrad: each gradient is projected off the gradients it conflicts with."""

import torch
from torch import Tensor

from mtrl.aggregation.drawing import Drawing
from mtrl.aggregation.method import Method
from mtrl.aggregation.solvers.linear_algebra import add_rows, lengths, library, put, take
from mtrl.aggregation.solvers.random_stream import random_orders
from mtrl.aggregation.solvers.solver_op import solver


class PCGrad(Drawing, Method):
    """Gradient Surgery for Multi-Task Learning (Yu et al. 2020), algorithm 1.

    For each task `i`, in a random order of the others, `g_i <- g_i - <g_i, g_j> / |g_j|^2 g_j` where
    `<g_i, g_j> < 0` (`g_j` as it was), all from inner products: `[T, T]` coefficients, row `i` for task `i`.

    Convention: the sum of the projected gradients, as in the paper; weights are at least 1. Zero gradients
    conflict with nothing. One set of orders serves all leading axes of a call; each call draws the next.

    Args:
        seed: of the orders. It and the number of calls so far are the state that `state_dict()` holds.
    """

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.start_stream(seed)

    def weigh(self, gram: Tensor, losses: Tensor | None, eps: float) -> Tensor:
        orders = random_orders(self.key, self.step, gram.shape[-1]).to(gram.device).expand(gram.shape)
        self.step.add_(1)
        return project_conflicts(gram, orders, torch.ones_like(gram[..., 0]))


@solver
def project_conflicts(gram: Tensor, orders: Tensor, shares: Tensor) -> Tensor:
    """Project each gradient off those that it conflicts with, in its order, and add up what is left.

    Args:
        gram: `[..., T, T]`, float64.
        orders: `[..., T, T]`, int64; row `i` lists the tasks that `i` meets.
        shares: of the projected gradients in the sum, `[..., T]`.

    Returns:
        Weights of the gradients, `[..., T]`.
    """
    xp = library(gram)
    norms, live = lengths(gram)
    own = xp.arange(gram.shape[-1], device=gram.device)
    shrink = -take(xp.where(live, 1 / norms**2, 0.0)[..., None, :], orders) * (orders != own[:, None])
    inner, steps = xp.stack((gram,))[0], []
    for k in range(gram.shape[-1]):
        others = orders[..., k]  # task i meets task others[i]
        steps.append(xp.clip(take(inner, others[..., None])[..., 0], None, 0) * shrink[..., k])
        inner = add_rows(inner, steps[-1], gram, others)
    return shares + (shares[..., None, :] @ put(xp.stack(steps, -1), orders))[..., 0, :]
