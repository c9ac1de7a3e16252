"""Training from the committed configs: a few steps on made-up molecules, and real learning on real ones."""

import json
import os
from pathlib import Path

import pytest
import torch

from mtrl.benchmarks.qm9 import QM9
from mtrl.cli.main import main
from tests.benchmarks.qm9.raw_sample import write

CONFIGS = Path(__file__).parents[3] / "configs" / "supervised"


@pytest.mark.parametrize("config", ["qm9", "qm9-subset"])
def test_the_committed_configs_train_and_evaluate(config, tmp_path):
    folder = write(tmp_path / "data")
    words = ["--epochs", "1", "--benchmark.test", "8", "--benchmark.validation", "8", "--benchmark.width", "8"]
    out = ["--out", str(tmp_path / "runs"), "--data", str(folder), "--threads", "1"]
    assert main(["supervised", str(CONFIGS / f"{config}.yaml"), *words, *out]) == 0
    result = json.loads((tmp_path / "runs" / config / "seed_0" / "evaluation.json").read_text())
    assert result["data"]["source"] == "QM9 subset of 40 molecules (24/8/8 for training, validation, test)"
    assert [metric["name"] for metric in result["metrics"]] == [metric.name for metric in QM9().metrics]
    assert all(metric["value"] > 0 for metric in result["metrics"])


@pytest.mark.slow
def test_nash_mtl_beats_the_mean_on_every_target_of_real_molecules(tmp_path):
    """Three epochs on the subset, ten minutes on one core."""
    folder = Path(os.environ.get("MTRL_DATA", "")) / "qm9"
    if not (os.environ.get("MTRL_DATA") and folder.is_dir()):
        pytest.skip("MTRL_DATA names no folder with QM9 in qm9/")
    words = ["--epochs", "3", "--data", str(folder), "--out", str(tmp_path), "--evaluation.select", "last"]
    assert main(["supervised", str(CONFIGS / "qm9-subset.yaml"), *words]) == 0
    result = json.loads((tmp_path / "qm9-subset" / "seed_0" / "evaluation.json").read_text())
    benchmark = QM9(test=1500, validation=1500)
    test = benchmark.data(folder, seed=0).test
    everything = test.batch(torch.arange(len(test)), None)
    of_the_mean = benchmark.meter(test)
    of_the_mean.update(torch.zeros_like(everything.targets).unbind(1), everything)
    for metric in result["metrics"]:
        baseline = of_the_mean.result()[metric["name"]]
        print(f"{metric['name']}: {metric['value']:.4g} {metric['unit']}, of the mean {baseline:.4g}")
        assert metric["value"] < baseline, metric["name"]
