"""The ablations: every variant changes something, and the table is of what ran."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mtrl.cli.sweep import read
from mtrl.runs.configs import find
from scripts.ablate import head

ROOT = Path(__file__).parents[2]


def test_every_variant_changes_the_shipped_recipe() -> None:
    file, trials = read(find("sweeps/mt10-ablations"), Path("runs"))
    firsts = [trial.config for trial in trials[: len(file.variants)]]
    fields = [config.model_copy(update={"name": "", "seeds": (0,)}) for config in firsts]
    assert all(one != other for number, one in enumerate(fields) for other in fields[:number])
    assert [config.name for config in firsts] == [*file.variants]


def test_the_shipped_table_says_what_it_is_of() -> None:
    file, _ = read(find("sweeps/mt10-ablations"), Path("runs"))
    assert (ROOT / "results/ablations.md").read_text().startswith(f"{head(file)}\n\n|")


def test_the_table_is_of_the_runs(tmp_path: Path) -> None:
    tree = {
        "name": "few",
        "base": str(ROOT / "results/example-report/points.yaml"),
        "changes": {"steps": 800},
        "variants": {"recipe": {}, "small-batch": {"training.batch_per_task": 16}},
        "seeds": [4, 5],
    }
    (tmp_path / "few.yaml").write_text(yaml.safe_dump(tree))
    words = ["--sweep", tmp_path / "few.yaml", "--jobs", 1, "--only", "small-batch", "--out", tmp_path]
    command = [sys.executable, "-m", "scripts.ablate", *words, "--table", tmp_path / "table.md"]
    subprocess.run([*map(str, command)], check=True, capture_output=True, timeout=1200, cwd=ROOT)
    text = (tmp_path / "table.md").read_text()
    assert "with `--steps 800`, one change at a time" in text
    assert "| recipe |" not in text  # it did not run
    (row,) = [line for line in text.splitlines() if "batch_per_task" in line]
    cells = [cell.strip() for cell in row.split("|")[1:-1]]
    seeds = [json.loads((tmp_path / f"few/small-batch/seed_{seed}/evaluation.json").read_text()) for seed in (4, 5)]
    assert cells[:2] == ["small-batch", "`--training.batch_per_task 16`"]
    assert cells[3] == " ".join(f"{seed['mean']['success_any']:.2f}" for seed in seeds)
    assert float(cells[2]) == pytest.approx(sum(seed["mean"]["success_any"] for seed in seeds) / 2, abs=0.006)
    assert cells[5] == str(seeds[0]["checkpoint"]["updates"])
