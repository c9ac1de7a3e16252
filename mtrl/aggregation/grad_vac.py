"""GradVac: each gradient is turned towards those it is less similar to than usual."""

import torch
from torch import Tensor

from mtrl.aggregation.drawing import Drawing
from mtrl.aggregation.method import Method
from mtrl.aggregation.solvers.linear_algebra import add_rows, lengths, library, put, take
from mtrl.aggregation.solvers.random_stream import random_orders
from mtrl.aggregation.solvers.solver_op import solver


class GradVac(Drawing, Method):
    """Gradient Vaccine (Wang et al. 2021), algorithm 1.

    For each task `i`, in a random order of the others, with `phi` the cosine of `g_i` (as it has become) and `g_j` (as
    it was) and `t_ij` the target: where `phi < t_ij`,

        g_i <- g_i + |g_i| (t_ij sqrt(1 - phi^2) - phi sqrt(1 - t_ij^2)) / (|g_j| sqrt(1 - t_ij^2)) g_j

    after which their cosine is `t_ij`; then `t_ij <- (1 - beta) t_ij + beta phi`. Targets begin at 0, so the
    first call is PCGrad's.

    Convention: the sum of the turned gradients, as in the paper. Pairs with a zero gradient, and targets of one (which
    no finite step reaches) or within rounding of the cosine, change nothing. One set of orders serves all leading axes
    of a call; each call draws the next.

    Args:
        beta: share of the new cosine in a target; 0 <= beta <= 1.
        seed: of the orders. It, the number of calls so far and the targets, `[..., T, T]`, are the state.
    """

    targets: Tensor | None

    def __init__(self, beta: float = 0.01, seed: int = 0) -> None:
        super().__init__()
        if not 0 <= beta <= 1:
            raise ValueError(f"GradVac needs 0 <= beta <= 1, got beta={beta}")
        self.beta = beta
        self.start_stream(seed)
        self.open_buffer("targets", -2, -1)

    def weigh(self, gram: Tensor, losses: Tensor | None, eps: float) -> Tensor:
        T = gram.shape[-1]
        targets = self.remembered("targets", torch.zeros_like(gram))
        orders = random_orders(self.key, self.step, T).to(gram.device).expand(gram.shape)
        self.step.add_(1)
        identity = torch.eye(T, dtype=gram.dtype, device=gram.device).expand(gram.shape)
        turned, cosines = vaccinate(gram, orders, torch.stack((identity, targets), -3), eps).unbind(-3)
        self.remember("targets", targets + self.beta * (cosines - targets))
        return turned.sum(-2)


@solver
def vaccinate(gram: Tensor, orders: Tensor, start: Tensor, eps: float) -> Tensor:
    """Turn each gradient towards the others, in its order.

    Args:
        gram: `[..., T, T]`, float64.
        orders: `[..., T, T]`, int64; row `i` lists the tasks that `i` meets.
        start: the identity and the targets, `[..., 2, T, T]`.
        eps: relative rounding of the entries of `gram`.

    Returns:
        The turned gradients' coefficients and the cosines met with, the target for a pair without one; in the shape of
        `start`.
    """
    xp = library(gram)
    T = gram.shape[-1]
    norms, live = lengths(gram)
    own = xp.arange(T, device=gram.device)
    met_norms = take(norms[..., None, :], orders)
    others_live = take((xp.ones_like(norms) * live)[..., None, :], orders) * (orders != own[:, None]) > 0
    targets = take(start[..., 1, :, :], orders)
    inner, steps, changes = xp.stack((gram,))[0], [], []
    square, total = gram.diagonal(0, -2, -1), norms  # of the turned gradient, and of its summands
    for k in range(T):
        others = orders[..., k]  # task i meets task others[i]
        other_norm, target = met_norms[..., k], targets[..., k]
        # Cancelled up to rounding, a turned gradient is zero and has no direction.
        sound = square > 4 * T * eps * total**2
        length = xp.sqrt(xp.where(sound, square, 0.0))
        meets = others_live[..., k] & sound
        slope = take(inner, others[..., None])[..., 0]
        phi = xp.clip(slope / xp.where(meets, length * other_norm, 1.0), -1, 1)
        gap = 1 - target**2
        short = meets & (phi < target - 4 * eps) & (gap > 0)
        rise = target * xp.sqrt(1 - phi**2) / xp.sqrt(xp.where(short, gap, 1.0)) - phi
        step = xp.where(short, rise * length / other_norm, 0.0)
        square, total = square + step * (2 * slope + step * other_norm**2), total + step * other_norm
        inner = add_rows(inner, step, gram, others)
        steps.append(step)
        changes.append(xp.where(meets, phi - target, 0.0))
    return start + xp.stack((put(xp.stack(steps, -1), orders), put(xp.stack(changes, -1), orders)), -3)
