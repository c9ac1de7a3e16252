"""What stays of a finished run where only its policy is wanted."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mtrl.agents import MultiTaskSAC, evaluate, train
from mtrl.agents.saved_policy import load_policy
from mtrl.runs import checkpoint
from mtrl.runs.errors import UserError
from mtrl.runs.policy_only import has_policy_only, keep_policy
from mtrl.supervised import train as train_supervised
from tests.runs.small_runs import NETWORK, small, toy, trained, trained_toy


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in (folder / "checkpoints").iterdir())


def test_the_policy_stays_as_it_is_and_training_on_is_refused(tmp_path: Path) -> None:
    folder = trained(tmp_path / "seed_0")
    before, whole = evaluate(folder, device="cpu"), size(folder)
    assert not has_policy_only(folder / "checkpoints")
    keep_policy(folder / "checkpoints")
    assert has_policy_only(folder / "checkpoints")
    assert checkpoint.steps(folder / "checkpoints") == [320]
    assert size(folder) < whole / 2
    assert evaluate(folder, device="cpu")["tasks"] == before["tasks"]
    assert load_policy(folder, "cpu").updates == before["checkpoint"]["updates"]
    assert train(small(), {0: folder}, resume=True).complete  # there is nothing to do
    config = (folder / "config.yaml").read_bytes()
    with pytest.raises(UserError, match=r"holds the policy alone, .*\(keep: policy\): it cannot be trained"):
        train(small(steps=640), {0: folder}, resume=True)
    assert (folder / "config.yaml").read_bytes() == config
    with MultiTaskSAC.load(folder, device="cpu") as model:
        assert model.predict(torch.zeros(4, 1, model.sizes.observation).numpy())[0].shape == (4, 1, model.sizes.action)
        with pytest.raises(UserError, match="holds the policy alone"):
            model.learn(10)


SAC = {
    "single_task": "stable_baselines3",
    "actor": NETWORK,
    "critic": NETWORK,
    "value": "scalar",
    "conditioning": {"encoding": "none"},
    "log_std_min": -20.0,
}


def names(tree: Any) -> set[str]:
    """All keys in it, at whatever depth."""
    if isinstance(tree, dict):
        return {*tree}.union(*(names(value) for value in tree.values()))
    return set().union(*map(names, tree)) if isinstance(tree, list | tuple) else set()


@pytest.mark.parametrize(
    "changes",
    [
        {"env": {"normalized_observations": "all"}},
        {"agent": {"single_task": "ours"}, "method": {"name": "mean"}},
        {"agent": SAC, "method": {"name": "mean"}},
    ],
    ids=["normalised", "single-task", "stable-baselines3"],
)
def test_whatever_learned_acts_as_before_without_its_critics(tmp_path: Path, changes: dict[str, Any]) -> None:
    if "stable_baselines3" in str(changes):
        pytest.importorskip("stable_baselines3")
    folder = trained(tmp_path / "seed_0", **changes)
    whole = load_policy(folder, "cpu")
    shape = (len(whole.tasks), 3, whole.sizes.observation)
    observation = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    before = whole.policy(observation)
    keep_policy(folder / "checkpoints")
    kept = {name.split(".")[0] for name in names(checkpoint.load_newest(folder / "checkpoints"))}
    assert not {"critic", "critic_target", "target", "methods"} & kept
    assert np.array_equal(load_policy(folder, "cpu").policy(observation), before)
    assert np.array_equal(MultiTaskSAC.load(folder, "cpu").predict(observation)[0], before)


def test_of_a_supervised_run(tmp_path: Path) -> None:
    folder = trained_toy(tmp_path / "seed_0")
    metrics = json.loads((folder / "evaluation.json").read_text())["metrics"]
    checkpoints = folder / "checkpoints"
    older = checkpoints / checkpoint.name(checkpoint.steps(checkpoints)[0])
    whole = older.read_bytes()
    keep_policy(checkpoints)
    older.write_bytes(whole)  # as a process leaves it that is killed before it is through
    assert not has_policy_only(checkpoints)
    keep_policy(checkpoints)
    assert has_policy_only(checkpoints)
    assert len(checkpoint.steps(checkpoints)) == 1
    again = train_supervised(toy(), 0, folder, resume=True)
    assert again.evaluation is not None
    assert again.evaluation["metrics"] == metrics
    config = (folder / "config.yaml").read_bytes()
    with pytest.raises(UserError, match="holds the policy alone"):
        train_supervised(toy(epochs=3), 0, folder, resume=True)
    assert (folder / "config.yaml").read_bytes() == config


def test_a_folder_without_a_whole_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no checkpoint in"):
        keep_policy(tmp_path)
    (tmp_path / checkpoint.name(1)).write_bytes(b"mtrl tree 1\n")
    with pytest.raises(UserError, match="is damaged"):
        has_policy_only(tmp_path)
