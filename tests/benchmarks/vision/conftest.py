"""Stand-ins, made once; a seed for every test."""

from pathlib import Path

import pytest
import torch

from mtrl.benchmarks import standin

SIZES = {"celeba": 64, "cityscapes2": 32, "cityscapes3": 64, "nyuv2": 36}


@pytest.fixture(scope="session")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a stand-in for every benchmark, by name; 8 training images each, 2 in other splits."""
    root = tmp_path_factory.mktemp("stand-ins")
    for name, size in SIZES.items():
        standin.generate(name, root / name, seed=0, count=8, size=size)
    return root


@pytest.fixture(autouse=True)
def _seed() -> None:
    """Networks of the tests are the same every time."""
    torch.manual_seed(0)
