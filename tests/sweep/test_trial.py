"""What a worker makes of each way in which training can fail: what would fail again, and what may go on elsewhere."""

import errno
from pathlib import Path
from typing import Any

import pytest

from mtrl import envs
from mtrl.cli import trial as worker
from mtrl.cli.trial import MARK, carry_out
from mtrl.runs.claim import SupersededError
from mtrl.runs.errors import UserError
from mtrl.sweep import Ended, How, Order, Trial
from tests.runs.small_runs import small


def ended(folder: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, mark: str = "m") -> Ended:
    """The end of a trial whose training raises this."""

    def train(*given: Any) -> bool:
        raise error

    monkeypatch.setattr(worker, "train_and_evaluate", train)
    (folder / MARK).write_text("m")
    return carry_out(Order(Trial(small(out=str(folder))), "all", 1, folder, mark))


@pytest.mark.parametrize(
    ("error", "how", "line"),
    [
        (MemoryError(), How.DIED, "the memory does not suffice"),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried"), How.DIED, "the memory does not suffice"),
        (envs.SimulatorError("a simulator died"), How.DIED, "a simulator died"),
        (SupersededError("another attempt has begun"), How.BUSY, "another attempt has begun"),
        (KeyboardInterrupt(), How.INTERRUPTED, ""),
        (OSError(errno.ENOSPC, "No space left on device", "x.pt"), How.HALTED, "x.pt: No space left on device"),
        (UserError("the loss is not finite"), How.FAILED, "the loss is not finite"),
        (ValueError("a defect"), How.FAILED, "ValueError: a defect"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_how_it_ends(
    error: BaseException, how: How, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = ended(tmp_path, monkeypatch, error)
    assert end.how is how
    assert end.line.startswith(line)
    assert bool(end.trace) == isinstance(error, ValueError)  # of what is not the user's to mend


def test_a_machine_that_does_not_see_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    end = ended(tmp_path, monkeypatch, AssertionError("not reached"), mark="another")
    assert end.how is How.HALTED
    assert f" does not see the sweep's folder {tmp_path}: --out must be on a disk that all machines share" in end.line
    assert not (tmp_path / "small").exists()
