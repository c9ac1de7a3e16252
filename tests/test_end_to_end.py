"""The command as a user runs it: real simulator, real learner, small budget."""

import csv
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mtrl.agents.config import Config
from mtrl.cli.arguments import load_config
from mtrl.cli.main import main

ROOT = Path(__file__).parent.parent
CONFIGS = sorted((ROOT / "configs").glob("mt*/*.yaml"))
TASKS = ("reach-v3", "push-v3", "peg-insert-side-v3")
SMALL = shlex.split(f"""
  --env.tasks {" ".join(TASKS)} --steps 180 --env.num_envs_per_task 1 --env.horizon 15 --training.warmup_steps 90
  --training.compile false --training.precision float32
  --training.updates_per_vector_step 1 --training.batch_per_task 4 --training.log_every_steps 90 --training.threads 1
  --agent.actor.width 16 --agent.critic.width 16 --evaluation.episodes 1 --evaluation.horizon 10
""")
ENVIRONMENT = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def mtrl(*words: object) -> subprocess.CompletedProcess[str]:
    command = ["mtrl", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=1200, env=ENVIRONMENT, check=False)


@pytest.mark.parametrize("path", CONFIGS, ids=[str(p.relative_to(ROOT)) for p in CONFIGS])
def test_shipped_configs_are_valid(path):
    assert load_config(path, Config).name == "-".join(path.relative_to(ROOT / "configs").with_suffix("").parts)


def test_train_evaluate_report(tmp_path, capsys):
    train = ["train", ROOT / "configs/mt10/quick.yaml", "--out", tmp_path, "--seeds", "0", "1", *SMALL]
    done = mtrl(*train)
    assert done.returncode == 0, done.stderr
    assert "peg-insert-side-v3" in done.stdout
    run = tmp_path / "mt10-quick"
    for seed in (0, 1):
        evaluation = read_evaluation(run / f"seed_{seed}")
        assert [row["name"] for row in evaluation["tasks"]] == [*TASKS]
        assert {row["episodes"] for row in evaluation["tasks"]} == {1}
        assert evaluation["protocol"]["name"] == "modern"
    with (run / "report" / "success.csv").open() as file:
        assert [row["task"] for row in csv.DictReader(file)][: len(TASKS)] == [*TASKS]
    assert {"success.md", "curve.png", "curve_per_task.png"} <= {p.name for p in (run / "report").iterdir()}

    before = (run / "seed_0" / "metrics.jsonl").read_bytes()
    assert main(list(map(str, train))) == 2
    refusal = capsys.readouterr().err
    assert len(refusal.strip().splitlines()) == 1
    assert "--resume" in refusal
    assert main([*map(str, train), "--resume"]) == 0
    assert (run / "seed_0" / "metrics.jsonl").read_bytes() == before

    # What a run saved is a valid config; its seed alone has the same warm-up, and the same learning but for rounding.
    assert main(["train", str(run / "seed_1" / "config.yaml"), "--name", "copy"]) == 0
    alone, beside = (tmp_path / name / "seed_1" for name in ("copy", "mt10-quick"))
    assert warm_up(alone) == warm_up(beside)
    for one, other in zip(*(read_evaluation(folder)["tasks"] for folder in (alone, beside)), strict=True):
        assert (one["name"], one["episodes"]) == (other["name"], other["episodes"])
        assert one["mean_return"] == pytest.approx(other["mean_return"], rel=0.05)

    assert main(["evaluate", str(run / "seed_0"), "--episodes", "2"]) == 0
    assert {row["episodes"] for row in read_evaluation(run / "seed_0")["tasks"]} == {2}
    assert main(["report", str(run), str(tmp_path / "copy"), "--out", str(tmp_path / "both")]) == 0
    assert "copy" in (tmp_path / "both" / "success.md").read_text()


def read_evaluation(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "evaluation.json").read_text())


def warm_up(folder: Path) -> tuple[int, Any, Any]:
    """Step, success and return of the first line about training: before the first update."""
    events = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    first = next(event for event in events if event["kind"] == "train")
    assert first["updates"] == 0
    assert any(value is not None for value in first["return"].values())
    return first["step"], first["success"], first["return"]


def test_output_may_be_cut_short():
    done = subprocess.run(
        "mtrl train --help | head -n 1", shell=True, capture_output=True, text=True, env=ENVIRONMENT, check=False
    )
    assert (done.stderr, done.stdout.split()[0]) == ("", "usage:")


@pytest.mark.slow
def test_one_task_is_learned_in_five_minutes(tmp_path):
    done = mtrl("train", ROOT / "configs/mt1/reach.yaml", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    evaluation = json.loads((tmp_path / "mt1-reach" / "seed_0" / "evaluation.json").read_text())
    assert evaluation["mean"]["success_any"] >= 0.9
    assert evaluation["tasks"][0]["episodes"] == 50
