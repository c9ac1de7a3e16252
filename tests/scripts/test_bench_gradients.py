"""The benchmark of gradient collection runs and has a row per variant."""

import re
from pathlib import Path

from tests.scripts.running import process, script
from tests.scripts.tables import unpadded


def test_a_row_per_variant(tmp_path: Path) -> None:
    out = tmp_path / "table.md"
    small = ["--tasks", "2", "--rows", "8", "--width", "8", "--rounds", "1", "--models", "0", "--model-rounds", "1"]
    done = process("bench_gradients", *small, "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert out.read_text() == done.stdout
    text = unpadded(done.stdout)
    rows = dict(re.findall(r"^\| ([^|]+) \| [\d.]+ \| ([\d.]+) \| \d+ \|$", text, re.MULTILINE))
    assert rows["plain backward"] == "1.00"
    assert {"task_gradients (vmap)", "linear_task_gradients", "backward, MGDA, features (MGDA-UB)"} <= rows.keys()
    assert all(float(ratio) > 0 for ratio in rows.values())
    assert "backward, UPGrad" in rows
    model = r"^\| MLP 3x400, batch 128 \| 10 \| \d+ \(\d+\) \| 5\.1 \| [\d.]+ \| [\d.]+ \(\d+\) \|"
    assert re.search(model, text, re.MULTILINE)


def test_a_mistake_is_one_line() -> None:
    done = script("bench_gradients", "--rows", "0")
    assert done.returncode == 2
    assert "--rows needs to be at least 1, got 0" in done.stderr
