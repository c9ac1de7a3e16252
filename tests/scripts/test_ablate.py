"""The ablations: every variant is a valid command, and the table is of what ran."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from mtrl.agents.config import Config
from mtrl.cli.arguments import parse_arguments
from scripts import ablate

ROOT = Path(__file__).parents[2]


def test_every_variant_changes_the_shipped_recipe() -> None:
    configs = [
        parse_arguments([f"{ROOT}/configs/mt10/ablations.yaml", *shlex.split(changes)], Config, "").config
        for changes in ablate.VARIANTS.values()
    ]
    assert all(one != other for number, one in enumerate(configs) for other in configs[:number])
    assert len(set(map(ablate.slug, ablate.VARIANTS))) == len(configs)


def test_the_table_is_of_the_runs(tmp_path: Path) -> None:
    words = ["--base", ROOT / "results/example-report/points.yaml", "--steps", 800, "--seeds", 4, 5, "--jobs", 1]
    words += ["--only", "batch of 16 a task", "--runs", tmp_path / "runs", "--out", tmp_path / "table.md"]
    command = [sys.executable, "-m", "scripts.ablate", *words]
    subprocess.run([*map(str, command)], check=True, capture_output=True, timeout=300, cwd=ROOT)
    (row,) = [line for line in (tmp_path / "table.md").read_text().splitlines() if "batch_per_task" in line]
    cells = [cell.strip() for cell in row.split("|")[1:-1]]
    seeds = [
        json.loads((tmp_path / f"runs/batch-of-16-a-task/seed_{seed}/evaluation.json").read_text()) for seed in (4, 5)
    ]
    assert cells[0] == "batch of 16 a task"
    assert cells[3] == " ".join(f"{seed['mean']['success_any']:.2f}" for seed in seeds)
    assert float(cells[2]) == pytest.approx(sum(seed["mean"]["success_any"] for seed in seeds) / 2, abs=0.006)
    assert cells[5] == str(seeds[0]["checkpoint"]["updates"])
