"""The benchmark of the environments runs, and leaves out what it cannot measure."""

import json
import re
from pathlib import Path

import pytest

from tests.scripts.running import process, script
from tests.scripts.tables import unpadded

QUICK = ["--envs", "10", "--seconds", "0.05", "--rounds", "1", "--workers", "2"]


def test_rows_and_ratios(tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    done = process("bench_envs", *QUICK, "--rows", "limit", "stock", "exact", "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    cells = json.loads(out.read_text())["cells"]
    assert [(cell["row"], cell["one_core"]) for cell in cells] == [
        (row, one_core) for one_core in (False, True) for row in ("limit", "stock", "exact")
    ]
    for cell in cells:
        assert cell["envs"] == 10
        assert cell["start_up_s"] > 0.1
        assert 50 < cell["mib"] < 3000  # numpy and MuJoCo alone are more than that
        assert len(cell["steps_per_s"]) == 1
        assert 100 < cell["steps_per_s"][0] < 1e6
    speeds = {cell["row"]: cell["steps_per_s"][0] for cell in cells if not cell["one_core"]}
    row = next(line for line in unpadded(done.stdout).splitlines() if line.startswith("| forked workers"))
    assert row.endswith(f"| - | {speeds['stock'] / speeds['limit']:.2f} |")  # no AsyncVectorEnv in this run
    assert re.search(r"\d+ cores, 2 workers; .*mujoco 3\.", done.stdout.splitlines()[-1])


@pytest.mark.parametrize("row", ["envpool", "raw"])
def test_envpool(row: str, tmp_path: Path) -> None:
    pytest.importorskip("envpool")
    out = tmp_path / "table.md"
    done = script("bench_envs", *QUICK, "--rows", row, "--no-one-core", "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert "EnvPool" in done.stdout
    assert out.read_text() == done.stdout


def test_what_cannot_be_measured_is_left_out() -> None:
    done = process(
        "bench_envs", *QUICK, "--rows", "limit", "sb3", "raw", "--no-one-core", without=("envpool", "stable_baselines3")
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == [
        "left out: stable-baselines3 SubprocVecEnv: stable_baselines3 is not installed",
        "left out: EnvPool alone: send to all, then receive from all: envpool is not installed",
    ]
    assert done.stdout.count("\n| ") == 2  # below the header: the rule, and a row
    too_many = script("bench_envs", "--envs", "1000000", "--rows", "exact", "--no-one-core")
    assert re.match(r"left out: envs.make, exact backend, 1000000 environments: needs about \d+ GiB", too_many.stderr)


def test_the_reference_is_one(tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    done = script("bench_envs", *QUICK, "--rows", "async", "--no-one-core", "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert "| 1.00 | - |" in unpadded(done.stdout)
    (cell,) = json.loads(out.read_text())["cells"]
    assert cell["mib"] > 300  # eleven processes


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--envs", "15"], "--envs needs multiples of 10, the tasks of MT10, got 15"),
        (["--rounds", "0"], "--rounds needs to be above 0, got 0"),
    ],
)
def test_a_mistake_is_one_line(words: list[str], line: str) -> None:
    done = script("bench_envs", *words)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith(line)
