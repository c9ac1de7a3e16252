"""Sweeps in sessions of their own, and the runs that they are to end with."""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from mtrl.agents.config import Config
from mtrl.agents.groups import train_and_evaluate
from mtrl.cli.arguments import load_config
from tests.cli.running import Running
from tests.sweep.small_sweeps import Undisturbed

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


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """Made in this process; once, whichever tests ask for it."""

    @cache
    def trained(base: str, method: str, seed: int) -> Path:
        folder = tmp_path_factory.mktemp("undisturbed")
        (folder / "base.yaml").write_text(base)
        given = {"method.name": [method], "training.threads": ["1"], "seeds": [str(seed)]}
        config = load_config(folder / "base.yaml", Config, given)
        assert train_and_evaluate(config, {seed: folder / "run"}, False, 1, lambda event, seed: None)
        return folder / "run"

    return lambda path, method, seed: trained((path.parent / "base.yaml").read_text(), method, seed)
