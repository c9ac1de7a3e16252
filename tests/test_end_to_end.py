"""The command as a user runs it: real simulator, real learner, small budget."""

import csv
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from agents.config import Config
from mtrl.cli.arguments import load_config

ROOT = Path(__file__).parent.parent
CONFIGS = sorted((ROOT / "configs").glob("mt*/*.yaml"))
SMALL = shlex.split("""
  --steps 900 --env.num_envs_per_task 1 --env.horizon 15 --training.warmup_steps 300 --training.compile false
  --training.updates_per_vector_step 1 --training.batch_per_task 4 --training.log_every_steps 300 --training.threads 1
  --agent.actor.width 16 --agent.critic.width 16 --evaluation.episodes 2 --evaluation.horizon 10
""")
ENVIRONMENT = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def mtrl(*words: object) -> subprocess.CompletedProcess[str]:
    command = ["mtrl", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=ENVIRONMENT)


@pytest.mark.parametrize("path", CONFIGS, ids=[str(p.relative_to(ROOT)) for p in CONFIGS])
def test_shipped_configs_are_valid(path):
    assert load_config(path, Config).name == "-".join(path.relative_to(ROOT / "configs").with_suffix("").parts)


def test_train_evaluate_report(tmp_path):
    train = ["train", ROOT / "configs/mt10/quick.yaml", "--out", tmp_path, "--seeds", "0", "1", *SMALL]
    done = mtrl(*train)
    assert done.returncode == 0, done.stderr
    assert "peg-insert-side-v3" in done.stdout
    run = tmp_path / "mt10-quick"
    for seed in (0, 1):
        evaluation = json.loads((run / f"seed_{seed}" / "evaluation.json").read_text())
        assert len(evaluation["tasks"]) == 10
        assert {row["episodes"] for row in evaluation["tasks"]} == {2}
        assert evaluation["protocol"]["name"] == "modern"
    with (run / "report" / "success.csv").open() as file:
        assert len(list(csv.DictReader(file))) >= 10
    assert {"success.md", "curve.png", "curve_per_task.png"} <= {p.name for p in (run / "report").iterdir()}

    before = (run / "seed_0" / "metrics.jsonl").read_bytes()
    again = mtrl(*train)
    assert again.returncode == 2
    assert len(again.stderr.strip().splitlines()) == 1
    assert "--resume" in again.stderr
    assert mtrl(*train, "--resume").returncode == 0
    assert (run / "seed_0" / "metrics.jsonl").read_bytes() == before

    # What a run saved is a valid config.
    saved = mtrl("train", run / "seed_1" / "config.yaml", "--name", "copy")
    assert saved.returncode == 0, saved.stderr
    copy = json.loads((tmp_path / "copy" / "seed_1" / "evaluation.json").read_text())
    assert copy["tasks"] == json.loads((run / "seed_1" / "evaluation.json").read_text())["tasks"]

    evaluated = mtrl("evaluate", run / "seed_0", "--episodes", "1")
    assert evaluated.returncode == 0, evaluated.stderr
    assert {row["episodes"] for row in json.loads((run / "seed_0" / "evaluation.json").read_text())["tasks"]} == {1}
    reported = mtrl("report", run, tmp_path / "copy", "--out", tmp_path / "both")
    assert reported.returncode == 0, reported.stderr
    assert "copy" in (tmp_path / "both" / "success.md").read_text()


def test_output_may_be_cut_short():
    done = subprocess.run("mtrl train --help | head -n 1", shell=True, capture_output=True, text=True, env=ENVIRONMENT)
    assert (done.stderr, done.stdout.split()[0]) == ("", "usage:")


@pytest.mark.slow
def test_one_task_is_learned_in_five_minutes(tmp_path):
    done = mtrl("train", ROOT / "configs/mt1/reach.yaml", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    evaluation = json.loads((tmp_path / "mt1-reach" / "seed_0" / "evaluation.json").read_text())
    assert evaluation["mean"]["success_any"] >= 0.9
    assert evaluation["tasks"][0]["episodes"] == 50
