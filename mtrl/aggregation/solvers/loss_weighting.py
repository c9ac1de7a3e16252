"""What methods that weigh losses compute with: logarithms, and one step of Adam for a number learned per task."""

import math

import torch
from torch import Tensor


def checked_learning_rate(method: str, learning_rate: float) -> float:
    """The learning rate, if it is one.

    Raises:
        ValueError: it is not positive or not finite.
    """
    if not 0 < learning_rate < math.inf:
        raise ValueError(f"{method} needs a finite learning_rate > 0, got {learning_rate=}")
    return learning_rate


def adam_start(losses: Tensor, value: float = 0.0) -> Tensor:
    """State before the first step.

    Args:
        losses: `[..., T]`: a number is learned for each.
        value: the first value of all.

    Returns:
        `[..., 4, T]`, as `adam_step` takes it.
    """
    state = losses.new_zeros((*losses.shape[:-1], 4, losses.shape[-1]))
    state[..., 0, :] = value
    return state


def adam_step(
    state: Tensor, gradient: Tensor, learning_rate: float, weight_decay: float = 0.0, eps: float = 1e-8
) -> Tensor:
    """Adam (Kingma and Ba 2015, algorithm 1) with its usual decay rates, 0.9 and 0.999.

    Args:
        state: rows `[..., 4, T]`: the value, the mean gradient, the mean squared gradient, the number of steps.
        gradient: `[..., T]`; where an entry is not finite, its row of tasks stays as it was.
        learning_rate: about the length of a step of each entry.
        weight_decay: its multiple of the value is added to the gradient.
        eps: added to the root of the mean square. Absolute, as published: right for gradients without a unit, such
            as those of logarithms, where it keeps rounding from making whole steps. Use 0 for others.

    Returns:
        The next state, `[..., 4, T]`.
    """
    value, mean, square, count = state.unbind(-2)
    total = gradient + weight_decay * value
    mean, square, count = 0.9 * mean + 0.1 * total, 0.999 * square + 0.001 * total**2, count + 1
    root = (square / (1 - 0.999**count)).sqrt() + eps
    value = value - learning_rate * mean / (1 - 0.9**count) / torch.where(root > 0, root, 1.0)
    after = torch.stack((value, mean, square, count), -2)
    return torch.where(gradient.isfinite().all(-1, keepdim=True).unsqueeze(-2), after, state)


def positive(losses: Tensor) -> Tensor:
    """Which losses are positive, `[..., T]`; those that are not finite too, so that they spoil what is made of them."""
    return (losses > 0) | ~losses.isfinite()


def log_losses(losses: Tensor) -> tuple[Tensor, Tensor]:
    """Logarithms, with 0 in place of those of losses that are not positive, and which are, both `[..., T]`."""
    live = positive(losses)
    return torch.where(live, losses, 1.0).log(), live
