"""The agent as an object: it is the training of `mtrl.agents.train`, and what Stable-Baselines3's users expect."""

import copy
import os
import pickle
import signal
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from stable_baselines3.common.callbacks import (
    CheckpointCallback,
    EvalCallback,
    StopTrainingOnMaxEpisodes,
    StopTrainingOnRewardThreshold,
)
from stable_baselines3.common.evaluation import evaluate_policy as their_evaluate_policy

from mtrl import envs
from mtrl.agents import MultiTaskSAC, UserError, evaluate_policy, train
from mtrl.agents.environments import evaluation_env
from mtrl.agents.learner import Learner
from mtrl.agents.saved_policy import load_policy
from mtrl.runs import checkpoint
from tests.agents.test_agent_training import final_tensors, make

POINTS = {"tasks": "Points", "num_envs_per_task": 2, "num_workers": 0}


def points(**changes) -> MultiTaskSAC:
    return MultiTaskSAC(make(env=POINTS, **changes), seed=3)


def tensors_of(model: MultiTaskSAC, path) -> list[torch.Tensor]:
    """As `final_tensors` of a run."""
    model.save(path)
    state = checkpoint.read(path).tree
    tensors = [t for part in state["agent"]["parameters"].values() for t in part] + state["replay"]["rows"]
    return [*tensors, state["noise"]["current"], state["agent"]["generator"], state["batches"]]


def equal(one, other) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_learning_by_calls_saved_and_loaded_between_them_is_the_run_of_train(tmp_path):
    """Real simulator, stopped in the middle of an episode; once loaded, once closed, once simply called again."""
    train(make(), {3: tmp_path / "run"})
    expected = final_tensors(tmp_path / "run")
    model = MultiTaskSAC(make(), seed=3).learn(92)
    assert model.num_timesteps == 92
    model.save(tmp_path / "not_there_yet" / "model.pt")
    model.close()
    with MultiTaskSAC.load(tmp_path / "not_there_yet" / "model.pt", device="cpu") as loaded:
        assert equal(tensors_of(loaded.learn(100).learn(), tmp_path / "a.pt"), expected)
        assert loaded.num_timesteps == 240
    with model.learn():
        assert equal(tensors_of(model, tmp_path / "b.pt"), expected)
    saved = load_policy(tmp_path / "run", "cpu")
    observation = np.random.default_rng(0).normal(size=(2, 5, 39))
    for other in (model, MultiTaskSAC.load(tmp_path / "run", device="cpu")):
        np.testing.assert_array_equal(other.predict(observation)[0], saved.policy(observation))


def test_an_update_has_scaled_rewards_and_the_step_size_of_its_point_of_the_run(monkeypatch):
    told, update = [], Learner.update

    def listening(self, batch):
        told.append((batch.reward, self.critic.optimizer.param_groups[0]["lr"]))
        return update(self, batch)

    monkeypatch.setattr(Learner, "update", listening)
    agent = {"learning_rate": 1e-3, "final_learning_rate": 0.5}
    with MultiTaskSAC(make(env=POINTS | {"horizon": 5}, agent=agent), seed=3) as model:
        training = model.learn(80)._started()
        factors = training.replicas[0].scale.factor()
        training._update()
    rewards, rate = told[-1]
    for task, factor in enumerate(torch.tensor(factors, dtype=torch.float32)):
        assert factor != 1
        assert torch.isin(rewards[0, task], training.replay.rows.reward[0, task] * factor).all()
    assert rate == pytest.approx(1e-3 * (1 - 0.5 * 80 / 240))


def test_learning_past_the_budget_goes_on_quietly():
    told = []
    with points(steps=160) as model:
        model.learn(on_event=lambda event, seed: told.append(event))
        assert [event["kind"] for event in told if event["kind"] not in ("progress", "phase")] == [
            "start",
            "train",
            "train",
        ]
        told.clear()
        assert model.num_timesteps == 160
        model.learn(on_event=lambda event, seed: told.append(event))
        assert model.num_timesteps == 160
        model.learn(24, on_event=lambda event, seed: told.append(event))
        assert model.num_timesteps == 184
    assert not [event for event in told if event["kind"] == "train"]


def test_learning_is_evaluated_at_its_last_step_and_past_the_budget():
    """No evaluation of its own follows, as at the end of a run."""
    told = []
    with points(steps=160, training={"eval_every_steps": 80, "eval_episodes": 1}) as model:
        model.learn(on_event=lambda event, seed: told.append(event))
        model.learn(80, on_event=lambda event, seed: told.append(event))
    assert [event["step"] for event in told if event["kind"] == "evaluation"] == [80, 160, 240]


def test_no_time_is_left_for_an_evaluation_that_nobody_makes():
    with points() as model:
        pace = model.learn(88)._started().phases.pace
        assert pace.left_s(240) == 0


def test_evaluate_policy_of_stable_baselines3_finds_our_returns():
    config, episodes = make(), 4
    with MultiTaskSAC(config, seed=3) as model:
        model.learn(120)
        with evaluation_env(config, 3, episodes) as env:
            ours = evaluate_policy(lambda observation: model.predict(observation)[0], env, episodes)
        with evaluation_env(config, 3, episodes) as env:
            view, count = envs.views.as_stable_baselines3(env), 2 * episodes
            predictor: Any = model  # theirs may be asked about dictionaries, too
            theirs, lengths = their_evaluate_policy(predictor, view, count, return_episode_rewards=True, warn=False)
    assert lengths == [config.evaluation.horizon] * count
    np.testing.assert_allclose(theirs, ours.returns.flatten(), rtol=1e-5)


def test_predict_takes_all_layouts_and_draws_when_asked():
    model = MultiTaskSAC(make(), seed=0)
    observation = np.random.default_rng(0).normal(size=(2, 3, 39))
    action, state = model.predict(observation)
    assert (action.shape, action.dtype, state) == ((2, 3, 4), np.float32, None)
    flat, _ = model.predict(observation.reshape(6, 39), state=None, episode_start=np.ones(6, bool))
    np.testing.assert_array_equal(flat, action.reshape(6, 4))
    drawn, again = (m.predict(observation, deterministic=False)[0] for m in (model, MultiTaskSAC(make(), seed=0)))
    np.testing.assert_array_equal(drawn, again)
    assert not np.allclose(again, action)
    assert not np.allclose(model.predict(observation, deterministic=False)[0], again)
    for shape in ((39,), (3, 39), (3, 2, 39), (2, 3, 38), (1, 2, 3, 39)):
        with pytest.raises(ValueError, match=r"must be \[2, E, 39\] or \[2 \* E, 39\], task by task; got"):
            model.predict(np.zeros(shape))
    reversed_, frozen = observation[:, ::-1].copy()[:, ::-1], observation.copy()
    frozen.flags.writeable = False
    others: list[Any] = [observation.tolist(), torch.tensor(observation), observation.astype(">f8"), reversed_, frozen]
    for same in others:
        np.testing.assert_array_equal(model.predict(same)[0], action)
    for same in (np.ones((2, 3, 39), bool), np.ones((2, 3, 39), np.longdouble)):
        np.testing.assert_array_equal(model.predict(same)[0], model.predict(np.ones((2, 3, 39)))[0])
    wrong: list[tuple[str, Any]] = [
        ("a dict", {"obs": observation}),
        ("a tuple", (observation, {})),  # what Gymnasium's `reset` returns
        ("a list", [[0.0], [0.0, 1.0]]),
        ("complex128", observation + 1j),
        ("object", np.full((2, 39), None)),
        ("<U4", np.array(["text"])),
    ]
    for got, given in wrong:
        with pytest.raises(ValueError, match=f"must be one array of real numbers, got {got}"):
            model.predict(given)
    for number in (np.nan, np.inf, 1e300):
        bad = observation.copy()
        bad[1, 2, 3] = number
        with pytest.raises(UserError, match=r"task push-v3 gave the observation (nan|inf), which is not finite"):
            model.predict(bad)
    alone = MultiTaskSAC(make(env={"tasks": "MT1:reach-v3"}))
    one, several = alone.predict(observation[0, 0])[0], alone.predict(observation[:1])[0][0, 0]
    np.testing.assert_allclose(one, several, rtol=1e-4, atol=1e-6)


def test_predicting_after_loading_needs_no_simulator(tmp_path):
    with MultiTaskSAC(make(), seed=0) as model:
        model.save(tmp_path / "model.pt", replay=False)
    code = (
        "import sys, numpy as np; from mtrl.agents import MultiTaskSAC\n"
        f"MultiTaskSAC.load({str(tmp_path / 'model.pt')!r}).predict(np.zeros((2, 39)))\n"
        "print({'mujoco', 'metaworld', 'stable_baselines3'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_small_file_goes_on_with_an_empty_replay(tmp_path):
    with points() as model:
        model.learn(160)
        model.save(tmp_path / "whole.pt")
        model.save(tmp_path / "small.pt", replay=False)
        observation = np.random.default_rng(0).normal(size=(4, 2, model.sizes.observation))
        with MultiTaskSAC.load(tmp_path / "small.pt") as loaded:
            np.testing.assert_array_equal(loaded.predict(observation)[0], model.predict(observation)[0])
            assert loaded.learn(80).num_timesteps == 240
    assert (tmp_path / "small.pt").stat().st_size < (tmp_path / "whole.pt").stat().st_size


def test_constructor_takes_a_config_a_file_or_fields(tmp_path):
    model = MultiTaskSAC("configs/mt10/quick.yaml", seed=4, device="cpu", training={"compile": False})
    assert (model.seed, len(model.tasks), model.config.training.compile) == (4, 10, False)
    assert (model.config.training.batch_per_task, model.config.agent.learning_rate) == (16, 1e-3)
    model = MultiTaskSAC(make(), agent={"critic": {"width": 24}}, method={"name": "cagrad", "c": 0.5})
    assert (model.config.agent.critic.width, model.config.agent.critic.depth) == (24, 1)
    assert model.config.method.arguments == {"c": 0.5}
    assert MultiTaskSAC(env=make().env, device="cpu").tasks == ("reach-v3", "push-v3")
    numpys: Any = np.int64(5)
    assert MultiTaskSAC(make(), seed=numpys, device=torch.device("cpu")).seed == 5
    with pytest.raises(ValidationError, match="method"):
        MultiTaskSAC(make(), method=object())
    with pytest.raises(ValidationError, match="stepz"):
        MultiTaskSAC(make(), stepz=3)
    with pytest.raises(UserError, match=r"none\.yaml: No such file"):
        MultiTaskSAC("none.yaml")


def test_load_tells_what_is_wrong(tmp_path):
    with pytest.raises(UserError, match=r"holds no run: no config\.yaml, no seed_<k>"):
        MultiTaskSAC.load(tmp_path)
    with pytest.raises(UserError, match=r"none\.pt cannot be read: No such file or directory$"):
        MultiTaskSAC.load(tmp_path / "none.pt")
    checkpoint.write(tmp_path / "other.pt", {"other": 1}, {})
    with pytest.raises(UserError, match=r"other\.pt carries no configuration of this kind"):
        MultiTaskSAC.load(tmp_path / "other.pt")


def test_what_ends_learning_reaches_the_user_and_leaves_nothing_to_save(tmp_path):
    model = points().learn(80)
    normalizing: Any = model._started().learner
    normalizing.learner.critic.vector.fill_(torch.nan)
    with pytest.raises(UserError, match=r"loss of task .* is not finite at step 80"), model:
        model.learn(8)
    for again in (lambda: model.save(tmp_path / "model.pt"), lambda: model.learn(8)):
        with pytest.raises(UserError, match="ended learning within the step after step 80: there is nothing"):
            again()
    assert model.num_timesteps == 80
    assert not [*tmp_path.iterdir()]
    model = MultiTaskSAC(make(env=POINTS | {"num_workers": 1})).learn(8)
    simulators: Any = model._started().replicas[0].env
    (worker,) = simulators.worker_pids()
    os.kill(worker, signal.SIGKILL)
    with pytest.raises(envs.SimulatorError, match="was killed"), model:
        model.learn(8)


def test_an_error_of_a_callback_leaves_an_agent_that_can_be_saved(tmp_path):
    def fails(names, _):
        raise LookupError("of the callback")

    model = points()
    with pytest.raises(LookupError), model:
        model.learn(callback=fails)
    model.save(tmp_path / "model.pt")
    assert MultiTaskSAC.load(tmp_path / "model.pt").num_timesteps == 8


def test_callbacks_of_stable_baselines3(tmp_path):
    with points() as model, evaluation_env(model.config, 3, 2) as env:
        stop = StopTrainingOnRewardThreshold(-1e9, verbose=0)
        watch = EvalCallback(
            envs.views.as_stable_baselines3(env),
            callback_on_new_best=stop,
            n_eval_episodes=8,
            eval_freq=5,
            best_model_save_path=str(tmp_path),
            verbose=0,
            warn=False,
        )
        model.learn(callback=[CheckpointCallback(save_freq=3, save_path=str(tmp_path), name_prefix="at"), watch])
        assert model.num_timesteps == 5 * 8  # eight environments
        observation = np.zeros((8, model.sizes.observation))
        best = MultiTaskSAC.load(tmp_path / "best_model")
        np.testing.assert_array_equal(best.predict(observation)[0], model.predict(observation)[0])
        assert MultiTaskSAC.load(tmp_path / "at_24_steps.zip").num_timesteps == 24


def test_a_callback_of_theirs_counts_episodes():
    with MultiTaskSAC(make(env=POINTS | {"horizon": 5}), seed=3) as model:
        model.learn(callback=StopTrainingOnMaxEpisodes(2))
        assert model.num_timesteps == 2 * 5 * 8  # eight environments
        totals: list[Any] = [-1, float("nan"), "100"]
        for total in totals:
            with pytest.raises(ValueError, match="total_timesteps must be at least 0, got"):
                model.learn(total)


@pytest.mark.parametrize("wrong", ["x", 3, [lambda names, _: True]])
def test_what_is_no_callback(wrong):
    with points() as model, pytest.raises(TypeError, match=r"^callback must be a function, a BaseCallback or a list"):
        model.learn(8, callback=wrong)


@pytest.mark.parametrize("no", [False, np.False_, torch.tensor(False)])
def test_whatever_is_false_stops_it(no):
    with points() as model:
        assert model.learn(40, callback=lambda names, _: no).num_timesteps == 8
        assert model.learn(40, callback=lambda names, _: None).num_timesteps == 48


def test_the_default_dtype_changes_nothing(tmp_path):
    """What was saved under another one could not be loaded."""
    with points() as model:
        expected = tensors_of(model.learn(80), tmp_path / "a.pt")
    torch.set_default_dtype(torch.float64)
    try:
        with points() as model:
            assert equal(tensors_of(model.learn(80), tmp_path / "b.pt"), expected)
    finally:
        torch.set_default_dtype(torch.float32)
    assert MultiTaskSAC.load(tmp_path / "b.pt").num_timesteps == 80


def test_autocast_around_it_changes_nothing(tmp_path):
    observation = np.random.default_rng(0).normal(size=(4, 2, 2)).astype(np.float32)
    found = []
    for is_on in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=is_on), points() as model:
            tensors = tensors_of(model.learn(80), tmp_path / f"{is_on}.pt")
            found.append((tensors, [model.predict(observation, deterministic=d)[0] for d in (True, False)]))
    (plain, actions), (within, others) = found
    assert equal(within, plain)
    np.testing.assert_array_equal(others, actions)


@pytest.mark.parametrize("kind", ["copy", "deepcopy", "pickle"])
def test_a_copy_goes_on_by_itself(tmp_path, kind):
    make_copy = {"pickle": lambda model: pickle.loads(pickle.dumps(model))}.get(kind) or getattr(copy, kind)
    with points() as model:
        untrained = make_copy(model)
        model.learn(40)
        other = make_copy(model)
        model.learn(40)
        expected = tensors_of(model, tmp_path / "a.pt")
        with other:
            assert other.num_timesteps == 40
            assert equal(tensors_of(other.learn(40), tmp_path / "b.pt"), expected)
        assert model.learn(8).num_timesteps == 88  # the end of the copy was not that of its simulators
        assert untrained.num_timesteps == 0


def test_a_function_may_stop_it_and_so_may_ctrl_c():
    seen = []

    def stop_at_once(names, _):
        seen.append(names["self"].num_timesteps)
        return len(seen) < 3

    def interrupt(names, _):
        os.kill(os.getpid(), signal.SIGINT)

    with points() as model:
        model.learn(callback=stop_at_once)
        assert seen == [8, 16, 24]
        with pytest.raises(KeyboardInterrupt):
            model.learn(callback=interrupt)
        assert model.num_timesteps == 32
        assert model.learn(8).num_timesteps == 40
