"""A package with a method of one's own, as somebody else would write it."""

from pathlib import Path

import pytest

from tests.own_package import write_package

OWN = '''
from __future__ import annotations

import torch

from mtrl.aggregation import Method


class UnitNorm(Method):
    """The sum of the unit gradients."""

    def __init__(self, total: float = 1.0, note: str | None = None) -> None:
        super().__init__()
        self.total, self.note = total, note

    def weigh(self, gram, losses, eps):
        norms = gram.diagonal(dim1=-2, dim2=-1).clamp(min=0).sqrt()
        return self.total / gram.shape[-1] * torch.where(norms > 0, 1 / norms, 0.0)


class Scaled(UnitNorm):
    def __init__(self, scale: float, **more) -> None:
        super().__init__(scale)
        self.scale = scale


class Drawn(UnitNorm):
    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.seed = seed


class Unfinished(Method):
    """It has no equation."""


class Plain:
    """It is no method."""
'''


def write_own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`own_rules.unit` and a module that fails, which can be imported until the test ends."""
    write_package(folder, monkeypatch, "own_rules", unit=OWN, broken="raise ValueError('no')")
