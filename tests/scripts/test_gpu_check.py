"""The check of a GPU, tried out on the CPU: every step runs, and its few files are there."""

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from scripts import gpu_check

ROOT = Path(__file__).parents[2]


def test_smoke(tmp_path: Path) -> None:
    words = ["bash", "scripts/gpu_check.sh", "--device", "cpu", "--smoke", "--out", str(tmp_path / "out")]
    environment = os.environ | {"PYTHON": sys.executable, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert files == {
        *("summary.md", "tests.txt", "learner.txt", "learner.json"),
        *("train.txt", "metrics.jsonl", "curve.png", "success.csv"),
    }
    rows = json.loads((tmp_path / "out" / "learner.json").read_text())
    assert [row["method"] for row in rows] == ["plain", "its products alone", "mean", "nash_mtl"]
    summary = (tmp_path / "out" / "summary.md").read_text()
    assert "tests on the device: passed" in summary
    assert "configs/mt10/gpu.yaml: passed" in summary
    again = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (again.returncode, again.stderr) == (
        1,
        f"gpu_check: {tmp_path / 'out'} is not empty: choose another --out\n",
    )


def test_every_step_is_of_the_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the CPU, one that is not told so would be, too."""
    given: list[set[str]] = []

    def run(check: gpu_check.Check, name: str, words: Sequence[str | Path], *rest: object, **environment: str) -> bool:
        given.append({*map(str, words), *environment.values()})
        return True

    monkeypatch.setattr(gpu_check.Check, "run", run)
    check = gpu_check.Check("xpu", tmp_path, smoke=True, deadline=math.inf)
    for step in (gpu_check.tests, gpu_check.benchmarks, gpu_check.training):
        step(check)
    assert len(given) == 3
    assert all("xpu" in words for words in given)


def test_tests_that_are_cut_off_did_not_pass(tmp_path: Path) -> None:
    check = gpu_check.Check("cpu", tmp_path, smoke=True, deadline=time.monotonic())
    gpu_check.tests(check)
    assert check.lines[0].startswith("- tests on the device: cut off")
    assert check.failed


def test_without_a_gpu_it_says_so(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "scripts.gpu_check", "--device", "cuda", "--out", str(tmp_path / "out")]
    done = subprocess.run(
        words, cwd=ROOT, env=os.environ | {"CUDA_VISIBLE_DEVICES": ""}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "needs a GPU" in done.stderr
    assert not (tmp_path / "out").exists()
