"""Logarithms of losses, of which some may not have one."""

import torch
from torch import Tensor


def positive(losses: Tensor) -> Tensor:
    """Which losses are positive, `[..., T]`; those that are not finite too, so that they spoil what is made of them."""
    return (losses > 0) | ~losses.isfinite()


def log_losses(losses: Tensor) -> tuple[Tensor, Tensor]:
    """Logarithms, with 0 in place of those of losses that are not positive, and which are, both `[..., T]`."""
    live = positive(losses)
    return torch.where(live, losses, 1.0).log(), live
