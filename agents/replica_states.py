"""States of replicas that train side by side: a tensor with axes has the replicas first, anything else is shared.

Axes: `S` replicas.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mtrl.nested import map_leaves

Tree = Any
"""Nested mappings and sequences of tensors, numbers and texts."""


def take(tree: Tree, replica: int) -> Tree:
    """The state of one replica, `[1, ...]`, as a run of that seed alone has it; nothing is shared with `tree`."""

    def own(x: Any) -> Any:
        return (x[replica : replica + 1] if x.ndim else x).clone() if isinstance(x, Tensor) else x

    return map_leaves(own, tree)


def join(trees: Sequence[Tree], device: torch.device) -> Tree:
    """The state of replicas side by side, `[S, ...]`, from one each; on a device."""

    def together(*parts: Any) -> Any:
        if not isinstance(parts[0], Tensor):
            return parts[0]
        return (torch.cat(parts) if parts[0].ndim else parts[0].clone()).to(device)

    return map_leaves(together, *trees)
