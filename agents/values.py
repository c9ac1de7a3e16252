"""Meanings of a critic's outputs: a number, or a distribution over returns. Axes: `B` rows, `N` support points."""

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from mtrl.agents.config import AgentConfig


class ValueHead(Protocol):
    """Reads the outputs of twin critics, `[2, B, num_outputs]`."""

    @property
    def num_outputs(self) -> int:
        """Outputs of one critic."""

    def value(self, outputs: Tensor) -> Tensor:
        """The value that the policy is improved on, `[B]`."""

    def loss(self, outputs: Tensor, next_outputs: Tensor, reward: Tensor, discount: Tensor, bonus: Tensor) -> Tensor:
        """Distance of the outputs to the target `reward + discount * (next value + bonus)`.

        Args:
            outputs: of the critics at the current observation and action.
            next_outputs: of the target critics at the next ones.
            reward: `[B]`.
            discount: `[B]`, 0 after a terminal step.
            bonus: entropy bonus at the next step, `[B]`.

        Returns:
            Scalar: mean over the rows, sum over the twins. No gradient flows into the target.
        """


def make_value_head(config: AgentConfig) -> ValueHead:
    """The value head that a configuration names."""
    if config.value == "scalar":
        return ScalarValue()
    kind = CategoricalValue if config.value == "categorical" else GaussianHistogramValue
    return kind(config.num_atoms, config.value_limit)


@dataclass(frozen=True)
class ScalarValue:
    """One number, squared error, the smaller of the twins (Haarnoja et al. 2018, eq. 5; Fujimoto et al. 2018)."""

    num_outputs: int = 1

    def value(self, outputs: Tensor) -> Tensor:
        """See `ValueHead`."""
        return outputs.amin(0).squeeze(-1)

    def loss(self, outputs: Tensor, next_outputs: Tensor, reward: Tensor, discount: Tensor, bonus: Tensor) -> Tensor:
        """See `ValueHead`."""
        target = (reward + discount * (self.value(next_outputs) + bonus)).detach()
        return ((outputs.squeeze(-1) - target) ** 2).sum(0).mean()


@dataclass(frozen=True)
class Distribution:
    """Probabilities of returns, cross-entropy, the mean of the twins.

    Attributes:
        num_outputs: support points `N`, evenly spread over `[-limit, limit]`.
        limit: largest return that can be told apart.
    """

    num_outputs: int
    limit: float

    @property
    def spacing(self) -> float:
        """Distance of two neighbours of the support."""
        return 2 * self.limit / (self.num_outputs - 1)

    def support(self, like: Tensor) -> Tensor:
        """The support points `[N]`, on the device of `like`."""
        return torch.linspace(-self.limit, self.limit, self.num_outputs, dtype=like.dtype, device=like.device)

    def value(self, outputs: Tensor) -> Tensor:
        """See `ValueHead`."""
        return _mixture(outputs) @ self.support(outputs)


@dataclass(frozen=True)
class CategoricalValue(Distribution):
    """A distribution on the support.

    Bellemare et al. 2017 (C51, algorithm 1). Paper: one critic; here the target is the mixture of the twins' next
    distributions, as in BRC (Nauman et al. 2025), because their minimum is not a distribution of returns.
    """

    def loss(self, outputs: Tensor, next_outputs: Tensor, reward: Tensor, discount: Tensor, bonus: Tensor) -> Tensor:
        """See `ValueHead`."""
        moved = reward[:, None] + discount[:, None] * (self.support(reward) + bonus[:, None])
        return _cross_entropy(self.project(_mixture(next_outputs), moved), outputs)

    def project(self, probabilities: Tensor, points: Tensor) -> Tensor:
        """Moves the mass at arbitrary points to the two nearest support points each.

        Args:
            probabilities: `[B, N]`.
            points: `[B, N]`; those outside the support count as its ends.

        Returns:
            Probabilities on the support, `[B, N]`; the mean is kept where no point lies outside.
        """
        position = (points.clamp(-self.limit, self.limit) + self.limit) / self.spacing
        below = position.long().clamp(0, self.num_outputs - 2)  # within the support even where a position is NaN
        above = (position - below) * probabilities
        # A tenth of the cost of all pairs of points; on CUDA the order of addition, and so the last bit, is not fixed.
        empty = torch.zeros_like(probabilities)
        return empty.scatter_add(-1, below, probabilities - above).scatter_add(-1, below + 1, above)


@dataclass(frozen=True)
class GaussianHistogramValue(Distribution):
    """A distribution on bins around the support, which follows a scalar target.

    Farebrother et al. 2024 (HL-Gauss): the target `y` becomes the histogram of a Gaussian around it. Paper: one critic
    or the smaller of two; here the mean of the twins, as in `CategoricalValue`.

    Attributes:
        sigma_ratio: standard deviation of the Gaussian, in bins; the paper's choice for all of its results.
    """

    sigma_ratio: float = 0.75

    def loss(self, outputs: Tensor, next_outputs: Tensor, reward: Tensor, discount: Tensor, bonus: Tensor) -> Tensor:
        """See `ValueHead`."""
        return _cross_entropy(self.histogram(reward + discount * (self.value(next_outputs) + bonus)), outputs)

    def histogram(self, target: Tensor) -> Tensor:
        """The mass that a Gaussian around each target has in each bin, of what it has in all.

        Args:
            target: `[B]`; those outside `[-limit, limit]` count as its ends.

        Returns:
            `[B, N]`; the mean is the target's, but for rounding where no mass lies outside of the bins.
        """
        numbers = torch.arange(self.num_outputs + 1, dtype=target.dtype, device=target.device)
        edges = (numbers - 0.5) * self.spacing - self.limit
        scale = math.sqrt(2) * self.sigma_ratio * self.spacing
        below = ((edges - target.clamp(-self.limit, self.limit)[:, None]) / scale).erf()
        return below.diff(dim=-1) / (below[:, -1:] - below[:, :1])


def _mixture(outputs: Tensor) -> Tensor:
    """`[B, N]`, the mean of the twins' probabilities."""
    return outputs.softmax(-1).mean(0)


def _cross_entropy(target: Tensor, outputs: Tensor) -> Tensor:
    """Cross-entropy of target probabilities `[B, N]`, which get no gradient, with the outputs of both twins: scalar."""
    return -(target.detach() * outputs.log_softmax(-1)).sum((0, -1)).mean()
