"""One process trains in a run folder at a time, and whoever asks is told."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mtrl.agents import Config, train
from mtrl.runs.errors import UserError
from mtrl.runs.lock import is_locked, locked

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
            pytest.raises(UserError, match=f"run {tmp_path} is being trained, by process {holder.pid}"),
            locked(tmp_path),
        ):
            pass
        os.kill(holder.pid, signal.SIGKILL)
    assert is_locked(tmp_path) is False
    with locked(tmp_path):
        assert is_locked(tmp_path) is True
    assert is_locked(tmp_path) is False


def test_training_refuses_a_folder_that_another_trains_in(tmp_path: Path) -> None:
    config = Config.model_validate({"env": {"tasks": "Points"}, "method": {"name": "mean"}})
    with locked(tmp_path), pytest.raises(UserError, match="is being trained"):
        train(config, {0: tmp_path})
    assert not (tmp_path / "config.yaml").exists()
