"""What a critic's outputs mean: a number, or a distribution over returns. Axes: `B` rows, `N` support points."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

Pair = tuple[Tensor, Tensor]


class ValueHead(Protocol):
    """Reads the outputs of twin critics, `[B, num_outputs]` each."""

    @property
    def num_outputs(self) -> int:
        """Outputs of one critic."""

    def value(self, outputs: Pair) -> Tensor:
        """The value that the policy is improved on, `[B]`."""

    def loss(self, outputs: Pair, next_outputs: Pair, reward: Tensor, discount: Tensor, bonus: Tensor) -> Tensor:
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


@dataclass(frozen=True)
class ScalarValue:
    """One number, squared error, the smaller of the twins (Haarnoja et al. 2018, eq. 5; Fujimoto et al. 2018)."""

    num_outputs: int = 1

    def value(self, outputs: Pair) -> Tensor:
        """See `ValueHead`."""
        return torch.minimum(*outputs).squeeze(-1)

    def loss(self, outputs: Pair, next_outputs: Pair, reward: Tensor, discount: Tensor, bonus: Tensor) -> Tensor:
        """See `ValueHead`."""
        target = (reward + discount * (self.value(next_outputs) + bonus)).detach()
        first, second = outputs
        return ((first.squeeze(-1) - target) ** 2 + (second.squeeze(-1) - target) ** 2).mean()


@dataclass(frozen=True)
class CategoricalValue:
    """A distribution on a fixed support, cross-entropy, the mean of the twins.

    Bellemare et al. 2017 (C51, algorithm 1). Paper: one critic; here the target is the mixture of the twins' next
    distributions, as in BRC (Nauman et al. 2025), because their minimum is not a distribution of returns.

    Attributes:
        num_outputs: support points `N`, evenly spread over `[-limit, limit]`.
        limit: largest return that can be told apart.
    """

    num_outputs: int
    limit: float

    def support(self, like: Tensor) -> Tensor:
        """The support points `[N]`, on the device of `like`."""
        return torch.linspace(-self.limit, self.limit, self.num_outputs, dtype=like.dtype, device=like.device)

    def value(self, outputs: Pair) -> Tensor:
        """See `ValueHead`."""
        first, second = outputs
        return 0.5 * (first.softmax(-1) + second.softmax(-1)) @ self.support(first)

    def loss(self, outputs: Pair, next_outputs: Pair, reward: Tensor, discount: Tensor, bonus: Tensor) -> Tensor:
        """See `ValueHead`."""
        probabilities = 0.5 * (next_outputs[0].softmax(-1) + next_outputs[1].softmax(-1))
        support = self.support(reward)
        moved = reward[:, None] + discount[:, None] * (support + bonus[:, None])
        target = self.project(probabilities, moved).detach()
        first, second = outputs
        return -(target * (first.log_softmax(-1) + second.log_softmax(-1))).sum(-1).mean()

    def project(self, probabilities: Tensor, points: Tensor) -> Tensor:
        """Moves the mass at arbitrary points to the two nearest support points each.

        Args:
            probabilities: `[B, N]`.
            points: `[B, N]`; those outside the support count as its ends.

        Returns:
            Probabilities on the support, `[B, N]`; the mean is kept where no point lies outside.
        """
        spacing = 2 * self.limit / (self.num_outputs - 1)
        position = (points.clamp(-self.limit, self.limit) + self.limit) / spacing
        # Support point j takes from point k the share max(0, 1 - |j - position_k|).
        index = torch.arange(self.num_outputs, dtype=points.dtype, device=points.device)
        # The sum runs over the outer axis, so that support points fill the vector registers.
        share = (1 - (position[..., :, None] - index).abs()).clamp(min=0)
        return (share * probabilities[..., :, None]).sum(-2)
