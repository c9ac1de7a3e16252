"""Sweeps in sessions of their own."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import Running

Start = Callable[..., Running]


@pytest.fixture
def start() -> Iterator[Start]:
    """`mtrl sweep` in a session of its own, with its runs in `runs` beside its file."""
    started: list[Running] = []

    def begin(path: Path, *words: str, **more: Any) -> Running:
        started.append(Running(["sweep", str(path), "--out", str(path.parent / "runs"), *words], **more))
        return started[-1]

    yield begin
    for running in started:
        running.end()
