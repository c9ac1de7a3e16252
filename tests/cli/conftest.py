"""Small runs, really trained: the analytic tasks of `Points`, and the supervised toy."""

import shlex
from pathlib import Path

import pytest

from mtrl.cli.main import main

POINTS = """
env: {tasks: Points, horizon: 20, num_envs_per_task: 2, num_workers: 1}
agent:
  actor: {kind: mlp, width: 16, depth: 1}
  critic: {kind: mlp, width: 16, depth: 1}
  num_atoms: 21
training:
  {warmup_steps: 160, updates_per_vector_step: 1, batch_per_task: 8, log_every_steps: 320, threads: 1,
   replay_capacity_per_task: 1000, seeds_at_once: 9, precision: float32}
evaluation: {episodes: 2, horizon: 20}
device: cpu
"""
TOY = "{benchmark: {name: toy, steps_per_epoch: 20}, threads: 1, name: toy}"


def train_points(out: Path, name: str, words: str = "") -> int:
    """`mtrl train` on the four `Points`: 960 steps in 12 vector steps a seed."""
    (out / "points.yaml").write_text(POINTS)
    command = ["train", str(out / "points.yaml"), "--name", name, "--out", str(out), "--steps", "960"]
    return main([*command, *shlex.split(words)])


@pytest.fixture(scope="session")
def points(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs with three seeds in common, `mean` and `pcgrad`."""
    out = tmp_path_factory.mktemp("points")
    assert train_points(out, "mean", "--method.name mean --seeds 0 1 2") == 0
    assert train_points(out, "pcgrad", "--method.name pcgrad --seeds 0 1 2 3 --agent.learning_rate 1e-3") == 0
    return out


@pytest.fixture(scope="session")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two supervised runs, `toy` and `famo`, of the same seed."""
    out = tmp_path_factory.mktemp("toys")
    (out / "toy.yaml").write_text(TOY)
    for name, method in (("toy", "mean"), ("famo", "famo")):
        command = ["supervised", str(out / "toy.yaml"), "--out", str(out), "--name", name, "--method.name", method]
        assert main([*command, "--epochs", "3", "--device", "cpu"]) == 0
    return out
