"""CAGrad: the best update for the worst task, close to the mean gradient."""

from typing import Literal, get_args

import torch
from torch import Tensor

from mtrl.aggregation.method import Method
from mtrl.aggregation.solvers import cagrad_program
from mtrl.aggregation.solvers.cagrad_offset import cagrad_offset, scaled
from mtrl.aggregation.solvers.cagrad_program import least_bound
from mtrl.aggregation.solvers.cagrad_support import bound_by, shortfall
from mtrl.aggregation.solvers.linear_algebra import EPS

Rescale = Literal["none", "1+c", "1+c^2"]


class CAGrad(Method):
    """Conflict-Averse Gradient Descent (Liu et al. 2021), eq. 3: `max_d min_i <g_i, d>` with `|d - g_0| <= c
    |g_0|`.

    `g_0` is the mean. By the dual (algorithm 1), `w` on the simplex minimises `<g_w, g_0> + c |g_0| |g_w|`, and
    `d = g_0 + c |g_0| g_w / |g_w|`. With `c = 0` it is the mean; its direction tends to MGDA's as `c` grows.

    Where a convex combination of the gradients vanishes no update helps every task, and all in the ball that harm none
    are as good: it is the one nearest to the mean then, if there is one.

    Convention: the mean, without a rescale, as in the paper's algorithm 1; the authors' code divides by `1 +
    c^2` (vision) or `1 + c`. A task with a zero gradient gains nothing from any update and does not bound the
    minimum.

    `solve(...).residual` is by how much a task's gain `<g_i, d>` falls short of the dual's bound of the smallest one,
    in units of `|g_0| |g_i|`, the most over the tasks. Below 1e-9 but for rounding, `sqrt(T eps)` where a combination
    vanishes; where norms spread over much more than 1e16 it may be of order one.

    Args:
        c: radius of the ball around the mean, in its norm; 0 <= c < 1.
        rescale: what the update is divided by.
    """

    iterations = cagrad_program.PATIENCE

    def __init__(self, c: float = 0.5, rescale: Rescale = "none") -> None:
        super().__init__()
        if not 0 <= c < 1:
            raise ValueError(f"CAGrad needs 0 <= c < 1, got c={c}")
        if rescale not in get_args(Rescale):
            raise ValueError(f"CAGrad needs a rescale of {list(get_args(Rescale))}, got rescale={rescale!r}")
        self.c = c
        self.rescale = rescale
        self._divisor = {"none": 1.0, "1+c": 1 + c, "1+c^2": 1 + c**2}[rescale]

    def weigh(self, gram: Tensor, losses: Tensor | None, eps: float) -> Tensor:
        mean = torch.full_like(gram[..., 0], 1 / gram.shape[-1])
        if self.c == 0:
            return mean
        return (mean + cagrad_offset(gram, self.c, eps, self.noted(gram))) / self._divisor

    def residual(self, gram: Tensor, losses: Tensor | None, weights: Tensor, eps: float = EPS) -> Tensor:
        C, f, b, mean_norm, norms = scaled(gram, eps)
        mean = torch.full_like(weights, 1 / gram.shape[-1])
        v = (weights * self._divisor - mean) * norms / torch.where(mean_norm > 0, mean_norm, 1.0)
        # The dual's variable is the offset but for a factor, or, as for a `harmless_offset`, one that vanishes.
        bound = torch.fmin(bound_by(C, f, b, self.c, v.clamp(min=0)), least_bound(C, f, b, self.c))
        gap = shortfall(C, f, b, v, bound).clamp(min=0)
        return torch.where((mean_norm > 0) & (self.c > 0), gap, 0.0).squeeze(-1)
