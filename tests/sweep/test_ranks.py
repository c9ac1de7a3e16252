"""`resources.ranks`: a trial that several processes train together."""

import json
from pathlib import Path

import pytest
import torch.distributed as dist

from mtrl.cli.main import main
from mtrl.runs.events import Start
from tests.sweep.small_sweeps import write_sweep


@pytest.mark.skipif(not dist.is_available(), reason="torch without distributed")
def test_a_trial_over_ranks_is_finished_like_any_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_sweep(tmp_path, methods=["mean"], seeds=1, resources={"cpus": 2, "ranks": 2})
    assert main(["sweep", str(file), "--out", str(tmp_path)]) == 0, capsys.readouterr()
    (run,) = (tmp_path / "s").glob("*/seed_0")
    start: Start = json.loads((run / "metrics.jsonl").read_text().splitlines()[0])
    assert start["ranks"] == 2
    assert json.loads((run / "evaluation.json").read_text())["checkpoint"]["step"] == 320
    assert main(["sweep", str(file), "--out", str(tmp_path)]) == 0  # nothing is left to do
