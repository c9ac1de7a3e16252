"""What a run's configuration says of its environments reaches them, in training and in evaluation."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from pydantic import ValidationError

from mtrl import envs
from mtrl.agents import Config, UserError, evaluate, final_evaluation, train
from mtrl.agents.environments import evaluation_env, training_env, training_workers
from mtrl.agents.evaluation import evaluate_policy
from mtrl.envs.goals import benchmark_goals
from mtrl.runs import checkpoint
from mtrl.runs.folder import load_config
from tests.envs.options_of import options_of
from tests.envs.points import optimal_return

NETWORK = {"kind": "mlp", "width": 32, "depth": 2}
REGISTERED = ("tests.envs.registered_tasks:CustomReach-v0", "tests.envs.registered_tasks:CustomPush-v0")


def make(**changes) -> Config:
    tree: dict[str, Any] = {
        "steps": 240,
        "device": "cpu",
        "env": {"tasks": ("reach-v3", "push-v3"), "num_envs_per_task": 2, "horizon": 20, "num_workers": 1},
        "method": {"name": "mean"},
        "agent": {"actor": NETWORK, "critic": NETWORK, "conditioning": {"encoding": "none"}},
        "training": {
            "warmup_steps": 80,
            "batch_per_task": 4,
            "updates_per_vector_step": 1,
            "log_every_steps": 80,
            "checkpoint_every_steps": 120,
            "threads": 1,
        },
        "evaluation": {"episodes": 2, "horizon": 10},
    }
    for section, values in changes.items():
        tree[section] = {**tree[section], **values} if isinstance(values, dict) else values
    return Config.model_validate(tree)


def test_a_few_cores_are_for_simulators_and_none_where_envpool_has_threads_of_its_own() -> None:
    for tasks, expected in ((("reach-v3",), 0), (("reach-v3", "Pendulum-v1"), 2)):
        assert training_workers(make(env={"tasks": tasks, "backend": "envpool", "num_workers": 0}).env, 8) == expected


def test_points_are_learned(tmp_path):
    """Four tasks that conflict, by one policy, to nearly the optimum that is known; seconds on one core."""
    agent = {"value": "scalar", "discount": 0.9, "learning_rate": 3e-3, "target_rate": 0.02, "reward_scaling": "none"}
    config = make(
        steps=8000,
        env={"tasks": "Points", "num_envs_per_task": 4},
        agent=agent,
        training={"warmup_steps": 400, "batch_per_task": 32, "updates_per_vector_step": 2},
        evaluation={"episodes": 10, "horizon": 20},
    )
    train(config, {0: tmp_path})
    result = evaluate(tmp_path)
    assert result["mean"]["success_any"] > 0.9
    with evaluation_env(config, 0, 10) as env:
        starts = np.concatenate([env.reset(), env.reset()], axis=1)
        best = [[optimal_return(task, start) for start in row] for task, row in zip(env.tasks, starts, strict=True)]
        aimless = evaluate_policy(np.zeros_like, env, 10)
    share = (result["mean"]["mean_return"] - aimless.returns.mean()) / (np.mean(best) - aimless.returns.mean())
    assert 0.85 < share < 1.0
    assert aimless.success_any.mean() == 0.0


def test_registered_tasks_train_resume_and_evaluate(tmp_path):
    """Episodes end apart: terminations reach the replay, resets do not, and a resumed run is the straight one."""
    changes = {"env": {"tasks": REGISTERED, "num_envs_per_task": 3}, "steps": 600, "agent": {"noise_correlation": 0.5}}
    straight = train(make(**changes), {3: tmp_path / "straight"})
    assert straight.updates > 50
    for stop in (198, 402):
        train(make(**changes | {"steps": stop}), {3: tmp_path / "resumed"}, resume=True)
    train(make(**changes), {3: tmp_path / "resumed"}, resume=True)
    states = [checkpoint.load_newest(tmp_path / name / "checkpoints") for name in ("straight", "resumed")]
    for part in ("actor", "critic"):
        for one, other in zip(*(state["agent"]["parameters"][part] for state in states), strict=True):
            assert torch.equal(one, other)
    rows = [part.unflatten(1, (-1, 3)) for part in states[0]["replay"]["rows"]]  # [T, steps, E, ...]
    observation, _, _, successor, terminated, done = rows
    assert (done >= terminated).all()
    goes_on = (observation[:, 1:] == successor[:, :-1]).all(-1)
    assert not goes_on[terminated[:, :-1].bool()].any()
    assert terminated[0].any()
    ends = [(~goes_on[task, :, 0]).nonzero()[:, 0].diff() for task in (0, 1)]
    assert ends[1].max() == 7  # its own limit
    assert 7 < ends[0].max() <= 20
    assert len(ends[0].unique()) > 3

    result = evaluate(tmp_path / "straight")
    assert result["simulator"]["backend"] == "gymnasium"
    assert "of one list, visited in turn" in result["protocol"]["goals"]
    assert [row["episodes"] for row in result["tasks"]] == [2, 2]


def test_evaluation_counts_the_first_episodes_of_every_environment():
    """An environment whose episodes are short does not stand in for one whose episodes are long."""
    config = make(env={"tasks": REGISTERED}, evaluation={"horizon": 20})
    with evaluation_env(config, 0, 20) as env:
        result = evaluate_policy(lambda obs: np.full((2, 5, 2), 0.5, np.float32), env, 20)
    with envs.make(REGISTERED, horizon=20, goal_order="cycle") as env:
        ended: list[list[tuple[bool, bool, float]]] = [[], []]
        env.reset()
        while min(map(len, ended)) < 20:
            step = env.step(np.full((2, 1, 2), 0.5, np.float32))
            for task in step.done[:, 0].nonzero()[0]:
                ended[task].append((step.episode_success[task, 0], step.success[task, 0], step.episode_return[task, 0]))
    alone = np.array([rows[:20] for rows in ended])  # [T, episodes, 3]
    for place, name in enumerate(("success_any", "success_final", "returns")):
        np.testing.assert_array_equal(getattr(result, name), alone[..., place])
    assert len(np.unique(result.returns)) == 40
    assert (result.success_any != result.success_final).any()


def test_options_of_meta_world_reach_training_and_evaluation(tmp_path):
    env = {"one_hot": True, "goals_visible": False, "reward_version": "v1", "num_goals": 1, "goal_seed": 7}
    config = make(env=env)
    made: dict[str, Any] = env | {"num_envs_per_task": 2}
    actions = np.ones((2, 2, 4), np.float32)
    with (
        training_env(config.env, 3, cores=1) as ours,
        envs.make(config.env.tasks, seed=0, **made) as expected,
    ):
        np.testing.assert_array_equal(ours.reset(), expected.reset())  # one goal: the order of goals plays no part
        one, other = ours.step(actions), expected.step(actions)
        np.testing.assert_array_equal(one.obs, other.obs)
        np.testing.assert_array_equal(one.reward, other.reward)
    train(config, {3: tmp_path})
    (first, *_) = (json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines())
    assert first["simulator"]["reward"] == "Meta-World V1"
    assert first["simulator"]["goals"].startswith("1 per task of goal seed 7")
    final = evaluate(tmp_path)["simulator"]  # its own reward and goals; the run's goal seed
    assert final["reward"] == "Meta-World V2"
    assert final["goals"].startswith("the benchmark's 50 per task of goal seed 7")
    for label in (first["simulator"], final):
        assert label["goals"].endswith("not visible")
    state = checkpoint.load_newest(tmp_path / "checkpoints")
    assert state["replay"]["rows"][0].shape[-1] == 41


def test_goals_of_the_evaluation():
    """Those of training, in turn, unless it has a seed of its own."""
    for env, evaluation, goal_seed in (({}, {}, 3), ({"goal_seed": 1}, {}, 1), ({"goal_seed": 1}, {"goal_seed": 2}, 2)):
        config = make(env=env, evaluation=evaluation)
        with evaluation_env(config, 3, 50) as made:
            assert made.num_envs_per_task == 5
            assert options_of(made).seed_of_goals == goal_seed
            assert options_of(made).goal_order == "cycle"


def test_success_on_goals_that_training_never_saw(tmp_path, monkeypatch):
    """As if the policy failed on those of training, succeeded on the others, and held that in every other episode."""
    config = make()
    train(config, {3: tmp_path})
    succeeds = iter((False, True))

    def played(policy, env, episodes, on_progress):
        result = evaluate_policy(policy, env, episodes, on_progress)
        success = np.full(result.success_any.shape, next(succeeds))
        return replace(result, success_any=success, success_final=success & (np.arange(episodes) % 2 == 0))

    monkeypatch.setattr(final_evaluation, "evaluate_policy", played)
    record = evaluate(tmp_path)
    assert record["unseen_goals"].startswith(f"the benchmark's 50 per task of goal seed {3 + 2**31}, visited in turn")
    for row in (*record["tasks"], record["mean"]):
        assert (row["success_any"], row["success_final"]) == (0, 0)
        assert (row["success_any_unseen"], row["success_final_unseen"]) == (1, 0.5)
    seen, unseen = (benchmark_goals(config.env.tasks, seed) for seed in (3, 3 + 2**31))
    for one, other in zip(seen, unseen, strict=True):
        assert len({goal.tobytes() for goal in (*one, *other)}) == 100


@pytest.mark.parametrize("settings", [{"unseen_goals": False}, {"goal_seed": 8}])
def test_without_them_the_evaluation_is_the_rest(tmp_path, settings):
    (tmp_path / "out").mkdir()
    train(make(evaluation=settings), {3: tmp_path / "out"})
    record = evaluate(tmp_path / "out")
    assert "unseen" not in json.dumps(record)


def test_tasks_without_goals_have_none_unseen(tmp_path):
    train(make(env={"tasks": "Points"}), {3: tmp_path / "points"})
    assert "unseen" not in json.dumps(evaluate(tmp_path / "points"))


def test_older_configurations_stay_valid(tmp_path):
    """One that was written before these fields existed."""
    tree = make().model_dump(mode="json")
    for name in ("goal_seed", "num_goals", "goals_visible", "one_hot", "reward_version"):
        del tree["env"][name]
    del tree["evaluation"]["goal_seed"], tree["evaluation"]["unseen_goals"]
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(tree))
    assert load_config(tmp_path, Config) == make()


def test_what_does_not_fit_names_the_option(tmp_path):
    with pytest.raises(ValidationError, match=r"evaluation.horizon must be at most 500 in Meta-World, got 501"):
        make(evaluation={"horizon": 501})
    assert make(env={"tasks": REGISTERED}, evaluation={"horizon": 1000}).evaluation.horizon == 1000
    with pytest.raises(UserError, match="num_goals is Meta-World's"):
        train(make(env={"tasks": REGISTERED, "num_goals": 1}), {0: tmp_path / "run"})


def test_envpool_is_told_what_it_cannot_do(tmp_path):
    pytest.importorskip("envpool")
    env = {"backend": "envpool", "num_workers": 0}
    with pytest.raises(UserError, match="knows one reward: reward_version must be 'v2', got 'v1'"):
        train(make(env=env | {"reward_version": "v1"}), {0: tmp_path / "run"})


def test_training_on_a_reward_that_differs_warns_once(tmp_path, recwarn):
    pytest.importorskip("envpool")
    env = {"backend": "envpool", "num_workers": 0, "tasks": ("reach-v3", "pick-place-v3", "sweep-v3")}
    train(make(env=env, steps=96, training={"eval_every_steps": 48, "eval_episodes": 1}), {0: tmp_path})
    texts = [str(w.message) for w in recwarn.list if "EnvPool's reward" in str(w.message)]
    (text,) = texts
    assert "not Meta-World's for pick-place-v3, sweep-v3: do not compare" in text
