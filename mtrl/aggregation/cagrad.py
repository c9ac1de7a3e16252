"""CAGrad: the best update for the worst task, close to the mean gradient."""

from typing import Literal, get_args

import torch
from torch import Tensor

from mtrl.aggregation import cagrad_program
from mtrl.aggregation.cagrad_offset import cagrad_offset
from mtrl.aggregation.linear_algebra import EPS, bilinear, lengths, multiply
from mtrl.aggregation.method import Method

Rescale = Literal["none", "1+c", "1+c^2"]


class CAGrad(Method):
    """Conflict-Averse Gradient Descent (Liu et al. 2021), eq. 2: `max_d min_i <g_i, d>` with `|d - g_0| <= c
    |g_0|`.

    `g_0` is the mean. By the dual (eq. 3), `w` on the simplex minimises `<g_w, g_0> + c |g_0| |g_w|`, and
    `d = g_0 + c |g_0| g_w / |g_w|`. With `c = 0` it is the mean; its direction tends to MGDA's as `c` grows.

    Convention: the mean, without a rescale, as in the paper's algorithm 1; the authors' code divides by `1 +
    c^2` (vision) or `1 + c`. A task with a zero gradient gains nothing from any update and does not bound the
    minimum.

    `solve(...).residual` is the duality gap over `|g_0| min_i |g_i|`, the largest gain there could be but for
    `1 + c`.

    Args:
        c: radius of the ball around the mean, in its norm; 0 <= c < 1.
        rescale: what the update is divided by.
    """

    iterations = cagrad_program.ITERATIONS

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
        return (mean + cagrad_offset(gram, self.c)) / self._divisor

    def residual(self, gram: Tensor, losses: Tensor | None, weights: Tensor, eps: float = EPS) -> Tensor:
        norms, live = lengths(gram)
        mean = torch.full_like(weights, 1 / gram.shape[-1])
        mean_norm = bilinear(mean, gram, mean).clamp(min=0).sqrt()
        weights = weights * self._divisor
        w = (weights - mean).clamp(min=0)
        total = w.sum(-1, keepdim=True)
        w = torch.where(total > 0, w / total, 0.0)
        upper = bilinear(w, gram, mean) + self.c * mean_norm * bilinear(w, gram, w).clamp(min=0).sqrt()
        lower = torch.where(live, multiply(gram, weights), torch.inf).amin(-1, keepdim=True)
        scale = mean_norm * torch.where(live, norms, torch.inf).amin(-1, keepdim=True)
        # Without an offset there is no certificate; with c = 0 or a mean of zero none is needed.
        gap = torch.where(total > 0, ((upper - lower) / scale).clamp(min=0), torch.inf)
        return torch.where((scale > 0) & (self.c > 0), gap, 0.0).squeeze(-1)
