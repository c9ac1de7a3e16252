"""`torchrun ... mtrl train`: ranks that train one run, and what becomes of the others when one is killed."""

import json
import os
import signal
import sys
from pathlib import Path

import pytest
import torch.distributed as dist

from mtrl.runs import checkpoint
from tests.cli.running import MAIN, Running, until

CONFIG = """
name: split
steps: 1000000
device: cpu
env: {tasks: Points, horizon: 10, num_workers: 1}
method: {name: mgda}
agent:
  actor: {kind: mlp, width: 8, depth: 1}
  critic: {kind: mlp, width: 8, depth: 1}
  num_atoms: 5
training:
  warmup_steps: 32
  updates_per_vector_step: 1
  batch_per_task: 4
  log_every_steps: 400
  checkpoint_every_steps: 400
  replay_capacity_per_task: 100
  threads: 1
  precision: float32
evaluation: {episodes: 2, horizon: 10}
"""
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--no-python"]


def split(folder: Path, *words: str) -> Running:
    """The command on two ranks."""
    (folder / "split.yaml").write_text(CONFIG)
    given = ["train", str(folder / "split.yaml"), "--out", str(folder), *words]
    return Running(given, command=[*TORCHRUN, sys.executable, "-c", MAIN])


def rank_of(pid: int) -> str | None:
    """The number that torchrun gave to a process of its own, None for others."""
    values = dict(part.partition("=")[::2] for part in Path(f"/proc/{pid}/environ").read_text().split("\0"))
    is_rank = MAIN in Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    return values.get("RANK") if is_rank else None


@pytest.mark.skipif(not dist.is_available(), reason="torch without distributed")
def test_a_killed_rank_ends_the_others_and_the_run_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    running, seed = split(tmp_path), tmp_path / "split" / "seed_0"
    try:
        until(lambda: checkpoint.exists(seed / "checkpoints"))
        (follower,) = [pid for pid in running.processes() if rank_of(pid) == "1"]
        os.kill(follower, signal.SIGKILL)
        status, _, errors = running.ended()
    finally:
        running.end()
    assert status != 0
    (line,) = [line for line in errors if line.startswith("mtrl train: error:")]
    assert "another rank ended or does not answer" in line
    kept = checkpoint.steps(seed / "checkpoints")[-1]
    assert f"the last checkpoint, of step {kept}, is kept: --resume goes on from it" in line
    again = split(tmp_path, "--resume", "--steps", str(kept + 400))
    try:
        status, shown, _ = again.ended()
    finally:
        again.end()
    assert status == 0
    assert sum("Runs:" in line for line in shown) == 1  # one rank speaks
    starts = [json.loads(line) for line in (seed / "metrics.jsonl").read_text().splitlines() if '"start"' in line]
    assert [start["ranks"] for start in starts] == [2, 2]
    assert starts[1]["resumed_at_step"] == kept
    assert json.loads((seed / "evaluation.json").read_text())["checkpoint"]["step"] == kept + 400
