"""One process trains in a run folder at a time, and whoever asks is told."""

import fcntl
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from mtrl.agents import Config, train, training
from mtrl.agents.training_loop import Training
from mtrl.benchmarks import SupervisedConfig
from mtrl.runs.errors import UserError
from mtrl.runs.files import replacing
from mtrl.runs.lock import BusyError, is_locked, locked
from mtrl.supervised import train as train_supervised
from tests.runs.small_runs import small, toy, trained, trained_toy

HOLD = "import sys, time; from pathlib import Path; from mtrl.runs.lock import locked\n" + (
    "with locked(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
)


def test_a_killed_process_leaves_no_lock(tmp_path: Path) -> None:
    assert is_locked(tmp_path) is None
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert is_locked(tmp_path) is True
        with (
            pytest.raises(
                UserError, match=f"run {tmp_path} is being trained, by process {holder.pid} on {socket.gethostname()}$"
            ),
            locked(tmp_path),
        ):
            pass
        os.kill(holder.pid, signal.SIGKILL)
    assert is_locked(tmp_path) is False
    with locked(tmp_path):
        assert is_locked(tmp_path) is True
    assert is_locked(tmp_path) is False


def test_who_only_asks_keeps_nobody_from_training(tmp_path: Path) -> None:
    """`mtrl status` holds the lock for the moment that asking takes; on a disk of a network, some milliseconds."""
    with locked(tmp_path):
        pass
    asks = (tmp_path / "lock").open()
    fcntl.flock(asks, fcntl.LOCK_SH)
    answered = threading.Timer(0.05, asks.close)
    answered.start()
    with locked(tmp_path):
        assert asks.closed
    answered.join()


def test_training_refuses_a_folder_that_another_trains_in(tmp_path: Path) -> None:
    config = Config.model_validate({"env": {"tasks": "Points"}, "method": {"name": "mean"}})
    with locked(tmp_path), pytest.raises(UserError, match="is being trained"):
        train(config, {0: tmp_path})
    assert not (tmp_path / "config.yaml").exists()


def test_what_a_killed_process_was_writing_is_removed(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "config.yaml").touch()
    for name in ("config.yaml.7.0a1b2c3d.partial", "checkpoints/000000000160.pt.partial"):
        (tmp_path / name).touch()
    with locked(tmp_path):
        assert {path.name for path in tmp_path.rglob("*")} == {"config.yaml", "checkpoints", "lock"}


def test_each_of_two_writers_of_a_file_writes_it_whole(tmp_path: Path) -> None:
    path = tmp_path / "evaluation.json"
    with replacing(path) as one:
        one.write(b"one")
        with replacing(path) as other:
            other.write(b"the other")
        assert path.read_text() == "the other"
    assert path.read_text() == "one"
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize(("resume", "line"), [(False, "never overwritten"), (True, "has just trained in .*: --resume")])
def test_training_refuses_a_folder_that_another_trained_in_meanwhile(
    resume: bool, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the folder was looked at, and before it is locked."""

    def slow(*arguments: Any) -> Training:
        monkeypatch.undo()
        trained(tmp_path / "seed_0")
        return Training(*arguments)

    monkeypatch.setattr(training, "Training", slow)
    with pytest.raises(UserError, match=line) as caught:
        train(small(steps=640), {0: tmp_path / "seed_0"}, resume=resume)
    assert isinstance(caught.value, BusyError) == resume
    assert "steps: 320" in (tmp_path / "seed_0" / "config.yaml").read_text()
    assert '"step": 320' in (tmp_path / "seed_0" / "metrics.jsonl").read_text()


def test_a_supervised_run_refuses_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = SupervisedConfig.job

    def slow(config: SupervisedConfig, *arguments: Any) -> Any:
        monkeypatch.undo()
        trained_toy(tmp_path / "seed_0", optimizer={"learning_rate": 0.1})
        return job(config, *arguments)

    monkeypatch.setattr(SupervisedConfig, "job", slow)
    with pytest.raises(UserError, match="never overwritten"):
        train_supervised(toy(), 0, tmp_path / "seed_0")
    assert "learning_rate: 0.1" in (tmp_path / "seed_0" / "config.yaml").read_text()
