"""The tanh-Gaussian policy (Haarnoja et al. 2018, appendix C)."""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional


class Gaussian(NamedTuple):
    """A diagonal Gaussian before the tanh."""

    mean: Tensor
    """`[..., A]`"""
    log_std: Tensor
    """`[..., A]`"""

    def sample(self, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Squashed action and its log density.

        Args:
            noise: standard normal, `[..., A]`.

        Returns:
            Action in (-1, 1), `[..., A]`; log density `[...]`.
        """
        before = self.mean + self.log_std.exp() * noise
        log_normal = -0.5 * noise**2 - self.log_std - 0.5 * math.log(2 * math.pi)
        # log(1 - tanh(u)^2), written so that it does not overflow or lose digits for large |u|.
        log_slope = 2 * (math.log(2) - before - functional.softplus(-2 * before))
        return before.tanh(), (log_normal - log_slope).sum(-1)

    @property
    def mode(self) -> Tensor:
        """The deterministic action, `[..., A]`."""
        return self.mean.tanh()


def gaussian(output: Tensor, log_std_min: float, log_std_max: float) -> Gaussian:
    """Reads a network's output `[..., 2A]`; the log standard deviation is squashed into its range by tanh."""
    mean, raw = output.chunk(2, -1)
    return Gaussian(mean, log_std_min + 0.5 * (log_std_max - log_std_min) * (torch.tanh(raw) + 1))
