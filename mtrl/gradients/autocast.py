"""Gradients are never collected, compared or added up in 16 bits because of where `torch.autocast` happens to be on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

DEVICES = ("cpu", "cuda", "mps", "xpu")


@contextmanager
def outside_autocast() -> Iterator[None]:
    """A block, or as `@outside_autocast()` a function, without `torch.autocast` also where a caller has it on."""
    with ExitStack() as stack:
        for device in DEVICES:
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        yield
