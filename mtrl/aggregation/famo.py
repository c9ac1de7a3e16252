"""FAMO: all losses fall at the same rate, from the losses alone."""

import math
import warnings
from collections.abc import Sequence

import torch
from torch import Tensor

from mtrl.aggregation.method import LossMethod
from mtrl.aggregation.solvers.linear_algebra import dot
from mtrl.aggregation.solvers.loss_weighting import adam_start, adam_step, checked_learning_rate, log_losses

_PATIENCE = 10
"""Calls without any `update` until that is a mistake: gradients of so many parts of a batch may be summed."""


class FAMO(LossMethod):
    """Fast Adaptive Multitask Optimization (Liu et al. 2023, algorithm 1).

    Descends `c sum_i z_i log L_i`, `z = softmax(xi)`, `1/c = sum_i z_i / L_i`: weights `c z_i / L_i`. The logits `xi`
    are learned from how far each loss fell in a step of the network, so the method needs the losses twice, before
    and after the optimizer's step on the same data:

        weights = method(None, losses)
        ...  # backward pass and optimizer step
        method.update(losses_again)

    Their Adam is inside this method; no second optimizer is needed. Without `update` they stay, and the weights go as
    `1 / L_i`: at the tenth call a warning says so.

    Convention: the weights sum to one. The authors' code for reinforcement learning multiplies by `1/c` where
    the paper has `c`; here it is the paper's. Losses must be positive: a task whose loss is not has weight 0 in a
    plain call, and its logit takes no part in `update`. So it makes no sense for losses that change sign, such as
    those of actors in reinforcement learning; the authors use it for the critic alone.

    Args:
        learning_rate: of the logits, > 0.
        gamma: decay of the logits, >= 0 (paper: 0.001).
    """

    positive_losses = True
    needs_update = True
    logits: Tensor | None
    """`[..., 4, T]`: `xi` in the first row, then its Adam."""
    last_losses: Tensor | None
    """`[..., T]`, of the last call."""

    def __init__(self, learning_rate: float = 0.025, gamma: float = 0.001) -> None:
        super().__init__()
        if not 0 <= gamma < math.inf:
            raise ValueError(f"FAMO needs a finite gamma >= 0, got {gamma=}")
        self.learning_rate = checked_learning_rate("FAMO", learning_rate)
        self.gamma = gamma
        self.open_buffer("logits", -1)
        self.open_buffer("last_losses", -1)
        self._calls = 0  # without an update

    def weigh_losses(self, losses: Tensor) -> Tensor:
        if not torch.compiler.is_compiling():
            self._expect_update()
        logits = self.remembered("logits", adam_start(losses))[..., 0, :]
        self.remembered("last_losses", losses).copy_(losses)
        log, live = log_losses(losses)
        weights = torch.where(live, logits - log, -torch.inf).softmax(-1)
        return torch.where(live, weights, 0.0)

    def update(self, losses: Tensor | Sequence[Tensor]) -> None:
        """Learns from the losses after the optimizer's step: the logits of tasks that fell further go down (eq. 9).

        Where a loss, before or after, is NaN or infinite, the logits stay as they were.

        Args:
            losses: on the data of the last call, `[..., T]`, or `T` scalars.

        Raises:
            TypeError: the losses are no tensors.
            ValueError: there was no call yet, or of other shape.
        """
        if not isinstance(losses, Tensor) and not all(isinstance(loss, Tensor) for loss in losses):
            raise TypeError(f"update needs losses as tensors, got {[*losses]}")
        losses = losses if isinstance(losses, Tensor) else torch.stack([loss.reshape(()) for loss in losses])
        logits, last_losses = self.moved("logits", losses), self.moved("last_losses", losses)
        if logits is None or last_losses is None:
            raise ValueError(f"{self} needs a call with the losses before update")
        expected, got = list(last_losses.shape), list(losses.shape)
        if expected != got:
            raise ValueError(f"losses need the shape {expected} of the call before update, got {got}")
        self._calls = 0
        before, was = log_losses(last_losses)
        after, is_still = log_losses(losses.detach().double())
        share = torch.where(was & is_still, logits[..., 0, :].softmax(-1), 0.0)
        total = share.sum(-1, keepdim=True)
        mean = dot(share, before - after) / torch.where(total > 0, total, 1.0)
        gradient = share * (before - after - mean)  # of dot(softmax(logits), fall of the logarithms)
        self.remember("logits", adam_step(logits, gradient, self.learning_rate, weight_decay=self.gamma))

    def _expect_update(self) -> None:
        self._calls += 1
        if self._calls == _PATIENCE:
            told = f"{self} was called {_PATIENCE} times without update, so its logits stay as they are: "
            warnings.warn(told + "call update(losses) after the optimizer's step, with the same data", stacklevel=2)
