"""Which trials are finished, read off evaluations that are not always those that the sweep asks for."""

import json
from pathlib import Path
from typing import Any

import pytest

from mtrl import envs
from mtrl.agents import Config
from mtrl.runs import checkpoint
from mtrl.sweep import Trial, reach
from tests.report.run_folders import PROTOCOL, result
from tests.runs.small_runs import small

OLD: dict[str, Any] = {
    "steps": 2000,
    "env": {"reward_version": "v1", "num_goals": 1, "horizon": 150, "tasks": ["reach-v3", "push-v3"]},
    "agent": {"reward_scaling": "deviation"},
    "training": {"eval_every_steps": 1000, "eval_episodes": 1},
    "evaluation": {"protocol": "legacy", "horizon": 150},
}


def folder_of(trial: Trial) -> Path:
    (folder,) = trial.folders.values()
    (folder / "checkpoints").mkdir(parents=True)
    return folder


@pytest.mark.parametrize(
    ("step", "made", "is_finished"),
    [
        (320, {}, True),
        (160, {}, False),  # it was to have fewer steps then
        (320, {"episodes": 1}, False),  # `mtrl evaluate --episodes 1`
        (320, {"horizon": 20}, False),
    ],
)
def test_an_evaluation_of_the_last_step_made_as_asked(
    step: int, made: dict[str, int], is_finished: bool, tmp_path: Path
) -> None:
    trial = Trial(small(out=str(tmp_path)))
    tasks = envs.task_names("Points")
    rates, protocol = [0.5] * len(tasks), PROTOCOL | {"episodes": 2, "horizon": 10} | made
    record = result(step, 0, rates, rates, tasks=tasks, protocol=protocol)
    (folder_of(trial) / "evaluation.json").write_text(json.dumps(record))
    assert reach.is_finished(trial, "all") is is_finished


def test_the_best_of_all_checkpoints_is_known_once_the_last_is_there(tmp_path: Path) -> None:
    """Protocol legacy: its evaluation may be of an early step, and it is written for a run that goes on, too."""
    trial = Trial(Config.model_validate_json(json.dumps(OLD | {"out": str(tmp_path)})))
    folder = folder_of(trial)
    (folder / "evaluation-legacy.json").write_text(json.dumps(result(1000, 0, (0.5, 1.0), (0.5, 1.0))))
    for step in (1000, 2000):
        (folder / "checkpoints" / checkpoint.name(step)).touch()
        assert reach.is_finished(trial, "all") is (step == 2000)
