"""Standard output that nobody reads any more, as after Ctrl-C to `mtrl ... | tee`: no command ends by it."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import pytest

from mtrl.cli.main import main
from tests.cli.conftest import TOY

Ends = Callable[[], tuple[int, int]]


@contextmanager
def unread(ends: Ends = os.pipe) -> Iterator[TextIO]:
    """A pipe without a reader; or a terminal that was closed, of `os.openpty`."""
    reading, writing = ends()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        yield stream


def main_unread(words: str, ends: Ends = os.pipe) -> int:
    """The exit status of a command of which nobody reads anything."""
    with unread(ends) as out, unread(ends) as err, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", err)
        return main(words.split())


@pytest.mark.parametrize("ends", [os.pipe, os.openpty])
def test_training_goes_on(ends: Ends, tmp_path: Path) -> None:
    (tmp_path / "toy.yaml").write_text(TOY)
    assert main_unread(f"supervised {tmp_path}/toy.yaml --out {tmp_path} --epochs 2 --device cpu", ends) == 0
    assert (tmp_path / "toy" / "seed_0" / "evaluation.json").exists()
    assert (tmp_path / "toy" / "report" / "index.html").exists()
    assert main_unread(f"status {tmp_path}", ends) == 0


@pytest.mark.parametrize(
    ("words", "status"),
    [("--help", 0), ("configs", 0), ("train --help", 0), ("train mt10/quick --print-config", 0), ("nosuch", 2)],
)
def test_what_is_printed_alone_ends_well(words: str, status: int) -> None:
    assert main_unread(words) == status


def test_another_pipe_that_breaks_is_no_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def breaking(words: list[str]) -> int:
        with unread() as stream:
            stream.write("x")
        return 0

    monkeypatch.setattr("mtrl.cli.configs.run", breaking)
    with (tmp_path / "out").open("w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        with pytest.raises(BrokenPipeError):
            main(["configs"])
