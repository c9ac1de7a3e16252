"""What a worker makes of each way in which training can fail: what would fail again, and what may go on elsewhere."""

import errno
import pickle
import sys
from contextlib import chdir
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import yaml

from mtrl import envs
from mtrl.benchmarks import SupervisedConfig
from mtrl.benchmarks.multimnist import MultiMNIST
from mtrl.cli import trial as worker
from mtrl.cli.trial import MARK, carry_out
from mtrl.runs.claim import SupersededError
from mtrl.runs.errors import UserError
from mtrl.sweep import Ended, How, Order, Trial, reach
from mtrl.sweep.engine import Work
from mtrl.sweep.on_ray import RayEngine
from tests.benchmarks.idx_files import write_idx_folder
from tests.runs.small_runs import small


def ended(folder: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException) -> Ended:
    """The end of a trial whose training raises this."""

    def train(*given: Any) -> bool:
        raise error

    monkeypatch.setattr(worker, "train_and_evaluate", train)
    (folder / MARK).write_text("m")
    return carry_out(Order(Trial(small(out=str(folder))), "all", 1, folder, "m"))


def of(line: str, cause: Exception) -> UserError:
    """A failure to mend that is made of another one."""
    try:
        raise UserError(line) from cause
    except UserError as error:
        return error


STALE = OSError(errno.ESTALE, "Stale file handle", "x.pt")
FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("error", "how", "line"),
    [
        (MemoryError(), How.DIED, "the memory does not suffice"),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried"), How.DIED, "the memory does not suffice"),
        (envs.SimulatorError("a simulator died"), How.DIED, "a simulator died"),
        (SupersededError("another attempt has begun"), How.BUSY, "another attempt has begun"),
        (KeyboardInterrupt(), How.INTERRUPTED, ""),
        (OSError(errno.ENOSPC, "No space left on device", "x.pt"), How.HALTED, "x.pt: No space left on device"),
        (FULL, How.HALTED, "cannot write in /"),
        (STALE, How.DIED, "x.pt: Stale file handle"),
        (of("checkpoint", of("x.pt cannot be read", STALE)), How.DIED, "checkpoint"),
        (OSError(errno.EIO, "Input/output error", "attempt"), How.DIED, "attempt: Input/output error"),
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
    monkeypatch.setattr(worker, "_SEEN_S", 0)
    (tmp_path / "other").mkdir()
    order = Order(Trial(small(out=str(tmp_path))), "all", 1, tmp_path / "other", "m")
    end = carry_out(order)
    assert end.how is How.HALTED
    assert f" does not see the sweep's folder {order.root}: --out must be on a disk that all machines share" in end.line
    assert not (tmp_path / "small").exists()


def test_another_driver_in_the_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the disk keeps no locks between machines, nothing else keeps a second one from beginning."""
    monkeypatch.setattr(worker, "_SEEN_S", 0)
    (tmp_path / MARK).write_text("0123 process 12 on elsewhere")
    end = carry_out(Order(Trial(small(out=str(tmp_path))), "all", 1, tmp_path, "4567 process 3 on here"))
    assert end.how is How.HALTED
    assert f" sees another driver's mark in {tmp_path} (0123 process 12 on elsewhere): one at a time" in end.line
    assert not (tmp_path / "small").exists()


def test_a_machine_that_sees_the_folder_late_waits_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As NFS does, which remembers for a while that a file was not there, or was another."""
    seen = iter(["", "0123 process 12 on elsewhere", "m"])
    monkeypatch.setattr(worker, "_mark", lambda root: next(seen))
    assert ended(tmp_path, monkeypatch, UserError("it was begun")).line == "it was begun"


def test_many_seeds_side_by_side_are_submitted_to_ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their names together are longer than that of a file may be."""
    monkeypatch.setitem(sys.modules, "ray", Mock(nodes=list))
    monkeypatch.setitem(sys.modules, "ray.exceptions", Mock())
    (tmp_path / "nodes").mkdir()  # by the first that has begun
    trial = Trial(small(out=str(tmp_path), seeds=tuple(range(100))))
    assert len(trial.key) > 255
    engine = RayEngine(carry_out, "auto", 1, 0.0, 0, None)
    engine.submit(Order(trial, "all", 1, tmp_path, "m"))
    engine.submit(Order(Trial(small(out=str(tmp_path))), "all", 1, tmp_path, "m"))


def test_a_worker_of_ray_is_in_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its runs are where the command was given, and say of their place what they say elsewhere."""
    place, other = tmp_path / "place", tmp_path / "other"
    for folder in (place, other):
        folder.mkdir()

    class Task:
        def remote(self, work: Work, order: Order) -> Ended:
            with chdir(other):
                return work(pickle.loads(pickle.dumps(order)))

    ray = Mock(nodes=list, wait=lambda tasks, **_: (tasks, []), get=lambda ended: ended)
    ray.remote.return_value = lambda work: Task()
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setitem(sys.modules, "ray.exceptions", ray.exceptions)
    monkeypatch.chdir(place)
    write_idx_folder(place / "files", train=20, test=20)
    config = SupervisedConfig(
        name="a", out="runs", data="files", benchmark=MultiMNIST(), epochs=1, batch_size=20, threads=1, device="cpu"
    )
    (place / MARK).write_text("m")
    engine = RayEngine(carry_out, "auto", 1, 0.0, 0, None)
    engine.submit(Order(Trial(config), "all", 1, place, "m"))
    ((order, end),) = engine.wait(1.0)
    assert end == Ended(How.FINISHED)
    assert reach.is_finished(order.trial, "all")
    assert not any(other.iterdir())
    saved = yaml.safe_load((place / "runs/a/seed_0/config.yaml").read_text())
    assert (saved["out"], saved["data"]) == ("runs", str(place / "files"))
