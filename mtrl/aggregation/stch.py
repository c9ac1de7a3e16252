"""Smooth Tchebycheff scalarization: a soft maximum of the losses."""

import math
from collections.abc import Sequence

from torch import Tensor

from mtrl.aggregation.method import LossMethod
from mtrl.aggregation.solvers.per_task import numbers, per_task


class STCH(LossMethod):
    """Smooth Tchebycheff scalarization (Lin et al. 2024, eq. 5): descends `mu log sum_i exp(p_i (L_i - z_i) / mu)`.

    Weights `p_i softmax(p (L - z) / mu)_i`; as `mu` goes to 0 the worst task takes all. Any sign of the losses will
    do, but losses in different units need preferences `p` that bring them to one.

    Convention: the preferences are used as given, 1 by default. The paper's sum to one: its `1/T` is this with
    `T mu` for `mu` and the update divided by `T`.

    Args:
        mu: smoothing, in the unit of `p L`, > 0.
        preference: `p`, one number > 0 per task; None for 1.
        ideal: `z`, the best value of each loss; None for 0.
    """

    def __init__(
        self, mu: float = 1.0, preference: Sequence[float] | None = None, ideal: Sequence[float] | None = None
    ) -> None:
        super().__init__()
        if not 0 < mu < math.inf:
            raise ValueError(f"STCH needs a finite mu > 0, got mu={mu}")
        self.mu = mu
        self.preference = numbers(preference)
        self.ideal = numbers(ideal)
        if not all(0 < p < math.inf for p in self.preference or ()):
            raise ValueError(f"STCH needs finite preferences > 0, got preference={list(preference or ())}")
        if not all(map(math.isfinite, self.ideal or ())):
            raise ValueError(f"STCH needs a finite ideal point, got ideal={list(ideal or ())}")

    def weigh_losses(self, losses: Tensor) -> Tensor:
        preference = per_task("STCH", "preference", self.preference, 1.0, losses)
        value = preference * (losses - per_task("STCH", "ideal", self.ideal, 0.0, losses))
        # The largest first: divided by a small mu it would overflow.
        return preference * ((value - value.amax(-1, keepdim=True)) / self.mu).softmax(-1)
