"""The toy problem as a run."""

import json
import math
import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from mtrl.aggregation import NashMTL
from mtrl.benchmarks import SupervisedConfig, Toy
from mtrl.benchmarks.toy import STARTS, descend, pareto_set
from mtrl.benchmarks.toy.job import ToyJob, gap_to_front
from mtrl.cli.arguments import load_config
from mtrl.runs.events import Event
from mtrl.supervised import train
from mtrl.supervised.run_config import EvaluationConfig, OptimizerConfig, ScheduleConfig, SupervisedMethodConfig

CONFIG = Path(__file__).parents[2] / "configs" / "supervised" / "toy.yaml"


def toy(epochs: int = 4, method: str = "nash_mtl", **fields) -> SupervisedConfig:
    optimizer = OptimizerConfig(learning_rate=1e-2, max_grad_norm=1.0)
    settings: dict[str, Any] = {"benchmark": Toy(steps_per_epoch=25), "optimizer": optimizer, "threads": 1} | fields
    return SupervisedConfig(epochs=epochs, method=SupervisedMethodConfig(name=method), **settings)


def ends(evaluation: dict) -> torch.Tensor:
    """Where each run ends, `[2 scales, 5 starts, 2]`."""
    return torch.tensor([row["end"] for row in evaluation["metrics"]], dtype=torch.float64).view(2, 5, 2)


def test_a_run_is_the_descent(tmp_path: Path) -> None:
    evaluation = train(toy(), 0, tmp_path / "run").evaluation
    starts, scales = torch.tensor(STARTS, dtype=torch.float64), torch.tensor([0.1, 1.0], dtype=torch.float64)
    expected = descend(NashMTL(), starts, scales, steps=100, lr=1e-2, max_norm=1.0)[-1]
    assert evaluation is not None
    assert torch.equal(ends(evaluation), expected)
    gaps = torch.stack([gap_to_front(expected[s], torch.tensor([scales[s], 1.0])) for s in range(2)])
    assert [row["value"] for row in evaluation["metrics"]] == pytest.approx(gaps.flatten().tolist())


def test_points_of_the_front_have_no_gap() -> None:
    front = pareto_set(torch.tensor([-7.0, -1.0, 3.5, 7.0], dtype=torch.float64))
    factors = torch.tensor([0.1, 1.0], dtype=torch.float64)
    assert gap_to_front(front, factors).max() < 1e-3
    far = gap_to_front(torch.zeros(1, 2, dtype=torch.float64), factors)
    assert far.item() == pytest.approx(math.hypot(1.999, 0.399), abs=0.01)  # losses (0, 0), to the end of the front


@pytest.mark.parametrize("method", ["nash_mtl", "famo", "dynamic_weight_average", "moco"])
def test_resume_is_exact(method: str, tmp_path: Path) -> None:
    straight = train(toy(method=method), 0, tmp_path / "straight").evaluation

    def stop(event: Event) -> None:
        if event["kind"] == "train" and event["epoch"] == 2:
            os.kill(os.getpid(), signal.SIGINT)

    assert train(toy(method=method), 0, tmp_path / "stopped", on_event=stop).interrupted
    resumed = train(toy(method=method), 0, tmp_path / "stopped", resume=True).evaluation
    assert straight is not None
    assert resumed is not None
    assert resumed["metrics"] == straight["metrics"]
    kinds = [json.loads(line)["kind"] for line in (tmp_path / "stopped" / "metrics.jsonl").read_text().splitlines()]
    assert kinds == ["start"] + ["train", "evaluation"] * 2 + ["start"] + ["train", "evaluation"] * 2


def test_the_seed_decides_what_a_method_draws() -> None:
    config = toy(method="random_loss_weighting")
    one, same, other = (
        ToyJob(config, Toy(steps_per_epoch=25), seed).descent.method(None, torch.ones(2)) for seed in (0, 0, 1)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_what_the_toy_cannot_do_is_one_line() -> None:
    adam, evaluation = OptimizerConfig(weight_decay=0.1), EvaluationConfig(select="best_validation")
    for fields, line in (
        ({"method": "single_task"}, "method.name must be an aggregation method with the toy, got 'single_task'"),
        ({"schedule": ScheduleConfig(kind="step")}, "schedule.kind must be 'constant' with the toy, got 'step'"),
        ({"gradients": "features"}, "gradients must be 'parameters' with the toy, got 'features'"),
        ({"data": "somewhere"}, "data must be None with the toy, got 'somewhere'"),
        ({"batch_size": 8}, "batch_size must be 256 with the toy, got 8"),
        ({"chunk_size": 2}, "chunk_size must be 1 with the toy, got 2"),
        ({"optimizer": adam}, "optimizer.weight_decay must be 0.0 with the toy, got 0.1"),
        ({"evaluation": evaluation}, "evaluation.select must be 'last' with the toy, got 'best_validation'"),
    ):
        with pytest.raises(ValidationError, match=re.escape(line)):
            toy(**fields)
    with pytest.raises(ValidationError, match=r"method.update_every must be 1 with the toy, got 2"):
        SupervisedConfig(benchmark=Toy(), method=SupervisedMethodConfig(name="nash_mtl", update_every=2))


@pytest.mark.slow
def test_the_published_run_ends_at_the_same_points_for_both_scales(tmp_path: Path) -> None:
    """The shipped configuration, half a minute: Nash-MTL reaches the front from all starts."""
    evaluation = train(load_config(CONFIG, SupervisedConfig), 0, tmp_path / "run").evaluation
    assert evaluation is not None
    assert all(row["value"] < 0.01 for row in evaluation["metrics"])
    torch.testing.assert_close(ends(evaluation)[0], ends(evaluation)[1], rtol=0, atol=0.01)
