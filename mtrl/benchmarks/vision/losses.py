"""Losses of one task over a batch of images; pixels without a label count nowhere.

Where no pixel has a label, a loss is 0 (with a graph), never NaN. Axes: `B` batch, `K` classes, `C` channels, `H` rows
and `W` columns of pixels.
"""

from torch import Tensor
from torch.nn import functional

IGNORED = -1
"""The class of a pixel without a label."""


def segmentation_loss(logits: Tensor, classes: Tensor) -> Tensor:
    """Mean cross-entropy.

    Args:
        logits: `[B, K, H, W]`.
        classes: int64 `[B, H, W]`, `IGNORED` where there is none.
    """
    total = functional.cross_entropy(logits, classes, ignore_index=IGNORED, reduction="sum")
    return total / (classes != IGNORED).sum().clamp(min=1)


def absolute_loss(prediction: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Mean absolute error over the valid pixels and all channels.

    Args:
        prediction: `[B, C, H, W]`.
        target: `[B, C, H, W]`; finite also where it is not valid.
        valid: bool `[B, 1, H, W]`.
    """
    total = ((prediction - target).abs() * valid).sum()
    return total / (valid.sum() * target.shape[1]).clamp(min=1)


def normal_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """One minus the mean cosine.

    Args:
        prediction: of unit length, `[B, 3, H, W]`.
        target: of unit length, `[B, 3, H, W]`; zero where there is none.
    """
    valid = has_value(target)
    cosine = (prediction * target).sum(1, keepdim=True)
    return ((1 - cosine) * valid).sum() / valid.sum().clamp(min=1)


def has_value(target: Tensor) -> Tensor:
    """Which pixels of `[B, C, H, W]` have any channel that is not zero: bool `[B, 1, H, W]`."""
    # The published code asks whether the channels' sum is zero, which drops normals such as (0.7, -0.7, 0).
    return (target != 0).any(1, keepdim=True)
