"""Training runs on the real simulator: resume, interruption, and what goes wrong."""

import json
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from mtrl.agents import Config, MultiTaskSAC, UserError, evaluate, train
from mtrl.agents.finite_steps import check_observation
from mtrl.agents.learner import Learner
from mtrl.agents.recent_episodes import RecentEpisodes
from mtrl.runs import checkpoint

NETWORK = {"kind": "residual", "width": 16, "depth": 1}


def make(**changes) -> Config:
    tree: dict[str, Any] = {
        "name": "small",
        "steps": 240,
        "device": "cpu",
        "env": {"tasks": ("reach-v3", "push-v3"), "num_envs_per_task": 2, "horizon": 25, "num_workers": 1},
        "method": {"name": "pcgrad"},
        "agent": {"actor": NETWORK, "critic": NETWORK, "noise_correlation": 0.5},
        "training": {
            "warmup_steps": 40,
            "batch_per_task": 4,
            "updates_per_vector_step": 2,
            "log_every_steps": 80,
            "checkpoint_every_steps": 120,
            "replay_capacity_per_task": 60,
            "threads": 1,
            "precision": "float32",
        },
        "evaluation": {"episodes": 2, "horizon": 10},
    }
    for section, values in changes.items():
        tree[section] = {**tree[section], **values} if isinstance(values, dict) else values
    return Config.model_validate(tree)


def final_tensors(folder: Path) -> list[torch.Tensor]:
    state = checkpoint.load_newest(folder / "checkpoints")
    tensors = [t for part in state["agent"]["parameters"].values() for t in part] + state["replay"]["rows"]
    return [*tensors, state["noise"]["current"], state["agent"]["generator"], state["batches"]]


def test_resumed_run_equals_the_straight_one_bit_for_bit(tmp_path):
    """Stopped in the middle of an episode and after it, with the replay going round."""
    straight = train(make(), {3: tmp_path / "straight"})
    assert straight.complete
    assert straight.updates == 2 * (240 - 40) // 4
    for stop in (92, 164):
        assert train(make(steps=stop), {3: tmp_path / "resumed"}, resume=True).step == stop
    resumed = train(make(), {3: tmp_path / "resumed"}, resume=True)
    assert (resumed.step, resumed.updates) == (straight.step, straight.updates)
    for a, b in zip(final_tensors(tmp_path / "straight"), final_tensors(tmp_path / "resumed"), strict=True):
        assert torch.equal(a, b)

    def logged(name):
        lines = [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        return {e["step"]: (e["success"], e["return"], e["loss"]) for e in lines if e["kind"] == "train"}

    assert logged("straight").items() <= logged("resumed").items()
    again = train(make(), {3: tmp_path / "resumed"}, resume=True)
    assert again.complete
    assert again.step == straight.step


def test_run_folder_and_evaluation(tmp_path):
    config = make()
    train(config, {3: tmp_path})
    saved = [p.name for p in sorted((tmp_path / "checkpoints").iterdir())]
    assert saved == ["000000000120.pt", "000000000240.pt"]
    events = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [e["kind"] for e in events] == ["start", "train", "train", "train"]
    assert set(events[-1]["weights"]["critic"]) == {"reach-v3", "push-v3"}
    shares = events[-1]["time_share"]
    assert set(shares) == {"act", "update", "wait", "store", "other"}
    assert "save" in events[-2]["time_share"]
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["update"] > 0.1
    result = evaluate(tmp_path)
    assert json.loads((tmp_path / "evaluation.json").read_text()) == result
    assert [(row["name"], row["episodes"]) for row in result["tasks"]] == [("reach-v3", 2), ("push-v3", 2)]
    assert result["simulator"]["backend"] == "metaworld"
    assert result["checkpoint"] == {"step": 240, "updates": 100}
    assert evaluate(tmp_path)["tasks"] == result["tasks"]


def test_existing_run_is_not_overwritten_and_another_config_is_refused(tmp_path):
    train(make(steps=40), {0: tmp_path})
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    with pytest.raises(UserError, match=r"exists and is never overwritten.*--resume"):
        train(make(steps=40), {0: tmp_path})
    with pytest.raises(UserError, match=r"another config: method.name is 'pcgrad' there and 'mean' here"):
        train(make(method={"name": "mean"}), {0: tmp_path}, resume=True)
    with pytest.raises(UserError, match=r"seed 0 there and 1 here"):
        train(make(), {1: tmp_path}, resume=True)
    assert before == {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}


def test_auto_is_no_other_choice_of_what_is_normalised_when_a_run_goes_on(tmp_path):
    train(make(steps=40, env={"normalized_observations": "all"}), {0: tmp_path})
    with pytest.raises(UserError, match=r"another config: env.normalized_observations is 'all' there and 'auto' here$"):
        train(make(training={"precision": "auto"}), {0: tmp_path}, resume=True)


def test_damaged_and_missing_checkpoints(tmp_path):
    with pytest.raises(UserError, match="is not the folder of a run"):
        evaluate(tmp_path / "nothing")
    train(make(), {0: tmp_path})
    older, newest = sorted((tmp_path / "checkpoints").iterdir())
    newest.write_bytes(newest.read_bytes()[:1000])
    with pytest.raises(UserError, match=rf"{newest.name} is damaged.*move it away to use {older.name}"):
        evaluate(tmp_path)
    newest.unlink()
    assert evaluate(tmp_path)["checkpoint"]["step"] == 120
    older.unlink()
    with pytest.raises(UserError, match="no checkpoint in"):
        evaluate(tmp_path)


def test_nan_loss_names_the_task_and_keeps_the_checkpoint(tmp_path, monkeypatch):
    update = Learner.update

    def poisoned(self, batch):
        if self.num_updates > 60:
            batch.reward[0, 1] = float("nan")
        return update(self, batch)

    monkeypatch.setattr(Learner, "update", poisoned)
    with pytest.raises(UserError, match=r"critic loss of task push-v3, seed 0, is not finite .*of step 120, is kept"):
        train(make(), {0: tmp_path})
    assert checkpoint.load_newest(tmp_path / "checkpoints")["step"] == 120


def test_a_reward_that_is_no_number_names_the_task(tmp_path):
    """While nothing is learned yet, in an evaluation during training, and in the one at the end."""
    task = "tests.agents.bad_rewards:InfiniteReward-v0"
    env = {"tasks": ("tests.envs.registered_tasks:CustomReach-v0", task), "horizon": None}
    told = f"task {task} gave the reward -inf, which is not finite"
    training = {"warmup_steps": 100, "log_every_steps": 4}
    with pytest.raises(UserError, match=re.escape(f"{told} at step 44: stopped; no checkpoint was written yet")):
        train(make(env=env, training=training), {0: tmp_path / "warm"})
    with MultiTaskSAC(make(env=env, training=training)) as model, pytest.raises(UserError, match=f"{re.escape(told)}$"):
        model.learn()
    changes = {"env": {**env, "horizon": 10}, "evaluation": {"horizon": 20}}
    with pytest.raises(
        UserError, match=re.escape(f"{told} at step 160: stopped; the last checkpoint, of step 120, is")
    ):
        train(make(**changes, training={"eval_every_steps": 160}), {0: tmp_path / "evaluated"})
    train(make(**changes), {0: tmp_path / "trained"})
    with pytest.raises(UserError, match=f"{re.escape(told)}$"):
        evaluate(tmp_path / "trained")


def test_an_observation_that_is_not_finite_ends_a_run_before_it_is_learned_of(tmp_path: Path) -> None:
    """Kept, it would be in every checkpoint from then on: here it is the last of an episode, which begins anew."""
    task = "tests.agents.bad_rewards:LastObservation-v0"
    env = {"tasks": ("tests.envs.registered_tasks:CustomReach-v0", task), "horizon": None}
    told = f"task {task} gave the observation nan, which is not finite at step 44: stopped; no checkpoint was"
    with pytest.raises(UserError, match=re.escape(told)):
        train(make(env=env, training={"warmup_steps": 100, "log_every_steps": 4}), {0: tmp_path})
    for bad in (np.nan, -np.inf, 1e39):  # the last is infinite as what is learned of
        with pytest.raises(UserError, match=re.escape(f"task b gave the observation {bad}, which is not finite")):
            check_observation(("a", "b"), np.array([[[1.0], [2.0]], [[3.0], [bad]]]))


def test_full_disk_is_one_line_and_leaves_no_torn_checkpoint(tmp_path):
    """A limit on the size of files stands in for the disk's: writing fails in the middle in the same way."""
    train(make(steps=120), {0: tmp_path})
    (checkpoint_file,) = (tmp_path / "checkpoints").iterdir()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (checkpoint_file.stat().st_size // 2, before[1]))
    try:
        with pytest.raises(UserError, match=r"cannot write in .*: File too large; what was written before is kept"):
            train(make(), {0: tmp_path}, resume=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list((tmp_path / "checkpoints").iterdir()) == [checkpoint_file]
    assert train(make(), {0: tmp_path}, resume=True).complete


def test_unknown_device_and_benchmark(tmp_path):
    for config, message in (
        (make(device="tpu"), "device must be auto, cpu, cuda or cuda:<index>, got 'tpu'"),
        (make(device="cuda:99"), "device 'cuda:99' is not there"),
    ):
        with pytest.raises(UserError, match=message):
            train(config, {0: tmp_path / "run"})
    with pytest.raises(UserError, match="reach-v3"):
        train(make(env={"tasks": ("reech-v3",)}), {0: tmp_path / "run"})
    assert not (tmp_path / "run").exists()


def test_signal_finishes_the_step_and_writes_a_checkpoint(tmp_path):
    program = (
        "import json, sys; from pathlib import Path; from mtrl.agents import Config, train\n"
        "config = Config.model_validate_json(sys.argv[1])\n"
        "result = train(config, {0: Path(sys.argv[2])}, on_event=lambda e, seed: print(e['kind'], flush=True))\n"
        "print(json.dumps([result.interrupted, result.complete, result.step]))"
    )
    text = make(steps=10_000_000).model_dump_json()
    command = [sys.executable, "-c", program, text, str(tmp_path / "run")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip() == "progress":
                break
        process.send_signal(signal.SIGINT)
        interrupted, complete, step = json.loads(process.stdout.read().splitlines()[-1])
    assert (interrupted, complete) == (True, False)
    assert checkpoint.load_newest(tmp_path / "run" / "checkpoints")["step"] == step
    assert step % 4 == 0


def test_envpool_trains_and_resumes(tmp_path):
    pytest.importorskip("envpool")
    env = {"backend": "envpool", "num_workers": 0}
    train(make(env=env, steps=92), {0: tmp_path})
    assert train(make(env=env), {0: tmp_path}, resume=True).complete


def test_unfinished_episodes_are_forgotten_where_environments_begin_anew(tmp_path):
    """EnvPool's do when a run is resumed."""
    pytest.importorskip("envpool")
    for steps, length in ((80, 20), (88, 2)):
        train(make(env={"backend": "envpool", "num_workers": 0}, steps=steps), {0: tmp_path}, resume=True)
        episodes = checkpoint.load_newest(tmp_path / "checkpoints")["scale"]["episodes"]
        assert [len(rewards) for task in episodes for rewards in task] == [length] * 4


def test_evaluation_during_training_is_logged(tmp_path):
    started = time.monotonic()
    train(make(training={"eval_every_steps": 160, "eval_episodes": 1}), {0: tmp_path})
    events = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    (event,) = [e for e in events if e["kind"] == "evaluation"]
    assert event["step"] == 160
    assert set(event["success_any"]) == {"reach-v3", "push-v3"}
    assert 0 < event["wall_s"] < time.monotonic() - started


def test_training_success_is_that_of_the_last_episodes_at_any_of_their_steps():
    recent = RecentEpisodes(1)
    assert (recent.success(), recent.mean_return()) == ([None], [None])
    for number in range(25):
        step: Any = SimpleNamespace(
            done=np.array([[True, False]]),
            success=np.array([[False, True]]),
            episode_success=np.array([[number in (4, 5, 24), True]]),
            episode_return=np.array([[float(number), 1e9]]),
        )
        recent.add(step)
    assert recent.success() == [2 / 20]
    assert recent.mean_return() == [np.mean(range(5, 25))]


def test_weights_that_no_rule_makes_are_null_in_the_log(tmp_path):
    """A coordinate-wise rule has none, and JSON has no NaN."""
    train(make(method={"name": "grad_drop"}, env={"tasks": "Points", "num_workers": 0}), {0: tmp_path})
    events = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert set(events[-1]["weights"]["critic"].values()) == {None}


def test_conflicts_are_in_the_log_where_they_were_measured(tmp_path):
    settings = {"conflict_every_updates": 10**6}  # at the first update alone
    train(make(method={"name": "mean"}, env={"tasks": "Points", "num_workers": 0}, training=settings), {0: tmp_path})
    events = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    measured, *_, later = (e for e in events if e["kind"] == "train" and "conflict_rate" in e)
    assert later["conflict_rate"] == {"critic": None, "actor": None}
    assert set(later["gradient_norm"]["critic"].values()) == {None}
    assert None not in measured["gradient_norm"]["critic"].values()
    cosines = np.array(measured["cosines"]["critic"])
    np.testing.assert_allclose(np.diagonal(cosines), 1, atol=1e-3)
    np.testing.assert_array_equal(cosines, cosines.T)
    assert np.mean(cosines[np.triu_indices(4, 1)] < 0) == pytest.approx(measured["conflict_rate"]["critic"])
