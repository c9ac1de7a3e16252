"""All leaves of the gradients side by side, for the methods that look at gradients."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor


def flatten(gradients: Mapping[str, Tensor], losses: Tensor) -> Tensor:
    """Leaves `[..., T, *shape]` to `[..., T, P]`, without gradient history; losses are `[..., T]`."""
    return torch.cat([leaf.detach().flatten(losses.ndim) for leaf in gradients.values()], -1)


def unflatten(flat: Tensor, like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `flatten`: `[..., T, P]` in the leaves of `like`."""
    sizes = [math.prod(leaf.shape[flat.ndim - 1 :]) for leaf in like.values()]
    parts = flat.split(sizes, -1)
    return {name: part.view_as(like[name]) for name, part in zip(like, parts, strict=True)}
