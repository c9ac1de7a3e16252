"""The views of other libraries, beside those libraries' own vector environments and through their own tools."""

import copy
import pickle
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers.vector import DictInfoToList, NormalizeReward, RecordEpisodeStatistics

from mtrl import envs
from mtrl.envs.registered.backend import reset_seed
from tests.envs.options_of import options_of
from tests.envs.registered_tasks import CustomReach

REACH = "CustomReach-v0"
SEED = 4


def _make(horizon: int = 25) -> envs.VectorEnv:
    assert callable(CustomReach)  # registered with the import
    return envs.make([REACH], num_envs_per_task=3, seed=SEED, horizon=horizon, num_workers=1)


@pytest.fixture
def points() -> Iterator[gymnasium.vector.VectorEnv]:
    view = envs.views.as_gymnasium(envs.make("Points", num_envs_per_task=2, seed=1, num_workers=1))
    yield view
    view.close()


def _same_layout(ours: dict, theirs: dict) -> None:
    """As many keys as Gymnasium has, of the same types; ours has more to tell."""
    for key, value in theirs.items():
        assert type(ours[key]) is type(value), key
        if isinstance(value, dict):
            _same_layout(ours[key], value)
        else:
            assert (ours[key].shape, ours[key].dtype) == (value.shape, value.dtype), key
            if value.dtype != object:
                mask = theirs.get(f"_{key}", np.ones(3, bool))
                np.testing.assert_array_equal(ours[key][mask], value[mask], err_msg=key)
            else:
                for one, other in zip(ours[key], value, strict=True):
                    assert (one is None) == (other is None)
                    assert one is None or np.array_equal(one, other)


def test_gymnasium_view_equals_gymnasiums_own_same_step_environment() -> None:
    """Until the second episodes, whose starts are drawn otherwise, in every number and every info."""
    inner = _make()
    view = envs.views.as_gymnasium(inner)
    stock = SyncVectorEnv([lambda: gymnasium.make(REACH) for _ in range(3)], autoreset_mode=AutoresetMode.SAME_STEP)
    assert view.metadata["autoreset_mode"] is stock.metadata["autoreset_mode"]
    assert view.single_observation_space == stock.single_observation_space
    assert view.observation_space == stock.observation_space
    obs, info = view.reset(seed=SEED)
    seeds = [reset_seed(options_of(inner), 0, e, 0) for e in range(3)]
    stock_obs, stock_info = stock.reset(seed=seeds)
    np.testing.assert_array_equal(obs, stock_obs)
    assert info == stock_info == {}
    ended = np.zeros(3, dtype=bool)
    view.action_space.seed(0)
    low, high = stock.single_action_space.low.astype(float), stock.single_action_space.high.astype(float)
    while not ended.any():
        actions = view.action_space.sample()
        mapped = (low + (actions.astype(float) + 1) / 2 * (high - low)).astype(np.float32)
        ours, theirs = view.step(actions), stock.step(mapped)
        ended = ours[2] | ours[3]
        for one, other in zip(ours[1:4], theirs[1:4], strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(ours[0][~ended], theirs[0][~ended])
        _same_layout(ours[4], theirs[4])
    assert not ended.all()
    assert {"final_obs", "_final_obs", "final_info", "_final_info"} <= set(ours[4])
    assert (ours[0][ended] != np.stack(ours[4]["final_obs"][ended])).any()
    view.close()
    view.close()
    with pytest.raises(RuntimeError, match="after close"):
        view.reset()


def test_gymnasium_view_resets(points: gymnasium.vector.VectorEnv) -> None:
    assert points.num_envs == 8
    assert points.tasks == tuple(np.repeat(envs.task_names("Points"), 2))
    first, _ = points.reset(seed=1)
    assert first in points.observation_space
    one = points.step(points.action_space.sample() * 0)
    other, _ = points.reset()
    assert (first != other).any(axis=-1).all()
    again, _ = points.reset(seed=1)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(points.step(points.action_space.sample() * 0)[0], one[0])
    with envs.make("Points", num_envs_per_task=2, seed=2, goal_seed=1, num_workers=1) as made:
        np.testing.assert_array_equal(points.reset(seed=2)[0], made.reset().reshape(8, 2))
        step = points.step(points.action_space.sample() * 0)
        np.testing.assert_array_equal(step[0], made.step(np.zeros((4, 2, 2))).obs.reshape(8, 2))
        np.testing.assert_array_equal(points.reset()[0], made.reset().reshape(8, 2))
    with pytest.raises(ValueError, match="options must be empty"):
        points.reset(options={"goal": 1})
    with pytest.raises(ValueError, match="actions must"):
        points.step(np.full((8, 2), np.nan))


def test_gymnasiums_wrappers_work_on_the_view() -> None:
    inner = _make()
    env = DictInfoToList(NormalizeReward(RecordEpisodeStatistics(envs.views.as_gymnasium(inner))))
    env.reset(seed=SEED)
    env.action_space.seed(0)
    checked = 0
    with envs.make([REACH], num_envs_per_task=3, seed=SEED, horizon=25) as beside:
        beside.reset()
        for _ in range(60):
            actions = env.action_space.sample()
            step = beside.step(actions[None])
            *_, infos = env.step(actions)
            for environment in step.done[0].nonzero()[0]:
                recorded = infos[environment]["episode"]
                assert recorded["l"] == step.episode_length[0, environment]
                assert recorded["r"] == pytest.approx(step.episode_return[0, environment])
                for name in ("success", "episode_success", "episode_return", "episode_length"):
                    assert infos[environment]["final_info"][name] == getattr(step, name)[0, environment], name
                np.testing.assert_array_equal(infos[environment]["final_obs"], step.next_obs[0, environment])
                checked += 1
    env.close()
    assert checked > 5


def test_meta_world_through_the_gymnasium_view() -> None:
    arguments: dict[str, Any] = {"num_envs_per_task": 2, "horizon": 3, "goal_order": "cycle", "num_workers": 1}
    tasks = ["reach-v3", "drawer-open-v3"]
    with envs.make(tasks, **arguments) as env:
        view = envs.views.as_gymnasium(envs.make(tasks, **arguments))
        np.testing.assert_array_equal(view.reset()[0], env.reset().reshape(4, 39))
        for _ in range(4):
            actions = view.action_space.sample()
            step = env.step(actions.reshape(2, 2, 4))
            obs, reward, terminated, truncated, info = view.step(actions)
            np.testing.assert_array_equal(obs, step.obs.reshape(4, 39))
            np.testing.assert_array_equal(reward, step.reward.ravel())
            np.testing.assert_array_equal(truncated, step.truncated.ravel())
            assert not terminated.any()
            assert ("final_obs" in info) == step.done.any()
        view.close()


def test_stable_baselines3_view_beside_its_own(tmp_path) -> None:
    """Infos and observations at ends, against `DummyVecEnv`, until the second episodes."""
    vec_env = pytest.importorskip("stable_baselines3.common.vec_env")
    inner = _make()
    view = envs.views.as_stable_baselines3(inner)
    stock = vec_env.DummyVecEnv([lambda: gymnasium.make(REACH) for _ in range(3)])
    stock._seeds = [reset_seed(options_of(inner), 0, e, 0) for e in range(3)]
    np.testing.assert_array_equal(view.reset(), stock.reset().astype(np.float32))
    draw = np.random.default_rng(0)
    low, high = stock.action_space.low.astype(float), stock.action_space.high.astype(float)
    done = np.zeros(3, dtype=bool)
    while not done.any():
        actions = draw.uniform(-1, 1, (3, 2)).astype(np.float32)
        obs, reward, done, infos = view.step(actions)
        mapped = (low + (actions.astype(float) + 1) / 2 * (high - low)).astype(np.float32)
        stock_obs, stock_reward, stock_done, stock_infos = stock.step(mapped)
        np.testing.assert_array_equal(done, stock_done)
        np.testing.assert_array_equal(reward, stock_reward)
        assert isinstance(obs, np.ndarray)
        np.testing.assert_array_equal(obs[~done], np.asarray(stock_obs)[~done].astype(np.float32))
        for ended, one, other in zip(done, infos, stock_infos, strict=True):
            assert ("terminal_observation" in one) == ended
            if ended:
                assert one["TimeLimit.truncated"] == other["TimeLimit.truncated"]
                np.testing.assert_array_equal(one["terminal_observation"], other["terminal_observation"].astype("f4"))
    with pytest.raises(AttributeError, match="not 'goal'"):
        view.get_attr("goal")
    assert view.get_attr("task", [0, 2]) == [REACH, REACH]
    view.seed(9)
    with envs.make([REACH], num_envs_per_task=3, seed=9, goal_seed=SEED, horizon=25) as made:
        np.testing.assert_array_equal(view.reset(), made.reset()[0].astype(np.float32))
        np.testing.assert_array_equal(view.reset(), made.reset()[0].astype(np.float32))
        lost_at_the_end, away = 0, np.zeros((3, 1), bool)
        for _ in range(60):
            actions = np.where(away, 0.9, draw.uniform(-1, 1, (3, 2))).astype(np.float32)
            step, infos = made.step(actions[None]), view.step(actions)[3]
            assert [info["success"] for info in infos] == step.success[0].tolist()
            for environment in step.done[0].nonzero()[0]:
                info, here = infos[environment], (0, environment)
                assert info["is_success"] == step.episode_success[here]
                assert info["episode"]["r"] == step.episode_return[here]
                assert info["episode"]["l"] == step.episode_length[here]
                lost_at_the_end += info["is_success"] and not info["success"]
            away = (step.episode_success & ~step.done).reshape(3, 1)  # of where it succeeded
        assert lost_at_the_end
    view.close()


@pytest.mark.parametrize("tasks", ["Points", ["reach-v3", "drawer-close-v3"]])
def test_stable_baselines3_trains_on_the_view(tasks) -> None:
    """Their SAC, a few hundred steps; their logger sees our episodes, their buffer what ended and what was cut."""
    sb3 = pytest.importorskip("stable_baselines3")
    view = envs.views.as_stable_baselines3(envs.make(tasks, num_envs_per_task=2, horizon=20, num_workers=1))
    model = sb3.SAC("MlpPolicy", view, learning_starts=40, batch_size=16, policy_kwargs={"net_arch": [16]}, seed=0)
    before = [p.detach().clone() for p in model.actor.parameters()]
    model.learn(400)
    assert any((p != q).any() for p, q in zip(model.actor.parameters(), before, strict=True))
    assert {episode["l"] for episode in model.ep_info_buffer} == {20}
    assert len(model.ep_success_buffer) == len(model.ep_info_buffer) > 10
    buffer = model.replay_buffer
    ends = buffer.dones[: buffer.pos] == 1
    assert ends.any()
    np.testing.assert_array_equal(buffer.timeouts[: buffer.pos] == 1, ends)
    follows = (buffer.next_observations[: buffer.pos - 1] == buffer.observations[1 : buffer.pos]).all(-1)
    np.testing.assert_array_equal(follows, ~ends[:-1])  # the successor is the true one, never a reset
    view.close()


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.DISABLED])
def test_other_autoreset_modes_are_gymnasiums_own(mode: AutoresetMode) -> None:
    """In every number, through ends at different steps; Gymnasium's own is given our reset seeds."""
    inner = _make()
    view = envs.views.as_gymnasium(inner, mode)
    stock = SyncVectorEnv([lambda: gymnasium.make(REACH) for _ in range(3)], autoreset_mode=mode)
    assert view.metadata["autoreset_mode"] is mode
    assert envs.views.as_gymnasium(inner, mode.value).metadata["autoreset_mode"] is mode
    episode = np.zeros(3, int)
    for number, env in enumerate(stock.envs):
        _seed_resets(env.unwrapped, [reset_seed(options_of(inner), 0, number, k) for k in range(99)])
    np.testing.assert_array_equal(view.reset()[0], stock.reset()[0])
    view.action_space.seed(0)
    low, high = stock.single_action_space.low.astype(float), stock.single_action_space.high.astype(float)
    for _ in range(80):
        actions = view.action_space.sample()
        mapped = (low + (actions.astype(float) + 1) / 2 * (high - low)).astype(np.float32)
        ours, theirs = view.step(actions), stock.step(mapped)
        for one, other in zip(ours[:4], theirs[:4], strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)
        _same_layout(ours[4], theirs[4])
        ended = ours[2] | ours[3]
        episode += ended
        if mode is AutoresetMode.DISABLED and ended.any():
            with pytest.raises(RuntimeError, match=r"has ended: reset\(options="):
                view.step(actions)
            with pytest.raises(ValueError, match="mark environments that have ended"):
                view.reset(options={"reset_mask": ~ended})
            mask = {"reset_mask": ended}
            np.testing.assert_array_equal(view.reset(options=mask)[0], stock.reset(options=mask)[0])
    assert (episode >= 2).all()
    assert len(set(episode)) > 1
    view.close()


def _seed_resets(env: gymnasium.Env, seeds: list[int]) -> None:
    """Its resets have these seeds in turn."""
    reset, left = env.reset, iter(seeds)
    env.reset = lambda *, seed=None, options=None: reset(seed=next(left), options=options)


def test_next_step_where_all_end_together_and_where_families_do_not() -> None:
    """Meta-World ends as one, beside a registered task that ends when it ends: each is what it is alone."""
    made: dict[str, Any] = {"num_envs_per_task": 2, "horizon": 6, "seed": 1, "num_workers": 1}
    groups = (["reach-v3", REACH], ["reach-v3"], [REACH])
    together, *alone = (envs.views.as_gymnasium(envs.make(tasks, **made), "NextStep") for tasks in groups)
    with envs.make(["reach-v3"], **made) as beside:
        shown, obs = together.reset()[0], beside.reset()[0]
        np.testing.assert_array_equal(shown[2:, :3], [view.reset()[0] for view in alone][1])
        together.action_space.seed(4)
        ends = []
        for number in range(20):
            np.testing.assert_array_equal(shown[:2], obs)
            actions = together.action_space.sample()
            shown, *others, _ = together.step(actions)
            for view, rows in zip(alone, (slice(2), slice(2, 4)), strict=True):
                own, *told, _ = view.step(actions[rows, : view.single_action_space.shape[0]])
                np.testing.assert_array_equal(shown[rows, : own.shape[1]], own)
                for one, other in zip(others, told, strict=True):
                    np.testing.assert_array_equal(one[rows], other)
            if number % 7 < 6:
                step = beside.step(actions[None, :2])
                obs, reward = step.next_obs[0], step.reward[0]
            else:
                obs, reward = step.obs[0], np.zeros(2)
            np.testing.assert_array_equal(others[0][:2], reward)
            ends.append(others[1] | others[2])
    assert 1 in np.sum(ends, axis=1)  # one ends while the others go on
    for view in (together, *alone):
        view.close()


WRAPPERS: dict[str, dict[str, Any]] = {
    "ClipAction": {},
    "ClipReward": {"min_reward": -1.0, "max_reward": 1.0},
    "DictInfoToList": {},
    "DtypeObservation": {"dtype": np.float32},
    "FlattenObservation": {},
    "NormalizeObservation": {},
    "NormalizeReward": {},
    "RecordEpisodeStatistics": {},
    "RescaleAction": {"min_action": -2.0, "max_action": 2.0},
    "ReshapeObservation": {"shape": (2, 1)},
}


@pytest.mark.parametrize("name", WRAPPERS)
def test_every_vector_wrapper_of_vectors_takes_the_view(name: str) -> None:
    """In NEXT_STEP, the mode that they were written for."""
    wrapper = getattr(gymnasium.wrappers.vector, name)
    inner = envs.make("Points", num_envs_per_task=1, horizon=5, num_workers=1)
    env = wrapper(envs.views.as_gymnasium(inner, AutoresetMode.NEXT_STEP), **WRAPPERS[name])
    env.reset(seed=SEED)
    ends = [env.step(env.action_space.sample())[3].all() for _ in range(13)]
    assert np.flatnonzero(ends).tolist() == [4, 10]  # and a step more to begin anew
    env.close()


def test_copies_and_pickles_are_made_anew() -> None:
    inner = _make()
    inner.reset()
    pytest.importorskip("stable_baselines3")
    for view in (envs.views.as_gymnasium(inner, "NextStep"), envs.views.as_stable_baselines3(inner), inner):
        for other in (copy.deepcopy(view), pickle.loads(pickle.dumps(view))):
            first = other.reset()
            with _make() as made:
                np.testing.assert_array_equal(
                    np.reshape(first[0] if isinstance(first, tuple) else first, (3, 3)),
                    made.reset()[0].astype(np.asarray(first[0]).dtype),
                )
            other.close()
    inner.step(np.zeros((1, 3, 2)))  # still there
    inner.close()


def test_stable_baselines3_seeds_and_evaluates_without_a_warning(recwarn) -> None:
    sb3 = pytest.importorskip("stable_baselines3")
    from stable_baselines3.common.callbacks import EvalCallback

    made: dict[str, Any] = {"num_envs_per_task": 2, "horizon": 10, "num_workers": 1}
    train, test = (envs.views.as_stable_baselines3(envs.make("Points", **made)) for _ in range(2))
    callback = EvalCallback(test, eval_freq=20, n_eval_episodes=8, verbose=0)
    model = sb3.SAC("MlpPolicy", train, seed=7, learning_starts=40, batch_size=8, policy_kwargs={"net_arch": [8]})
    model.learn(200, callback=callback)
    assert train.env.seed == 7
    assert np.isfinite(callback.last_mean_reward)
    assert not [w for w in recwarn if "Monitor" in str(w.message)]
    train.close()
    test.close()


def test_tasks_without_success_do_not_speak_of_it() -> None:
    with envs.make(["Pendulum-v1"], num_envs_per_task=2, horizon=2) as env:
        view = envs.views.as_gymnasium(env)
        view.reset()
        infos = [view.step(view.action_space.sample())[4] for _ in range(2)]
        assert "success" not in str(infos)
        assert "final_info" in infos[1]
        pytest.importorskip("stable_baselines3")
        theirs = envs.views.as_stable_baselines3(env)
        theirs.reset()
        for _ in range(2):
            infos = theirs.step(np.zeros((2, 1)))[3]
        assert "success" not in str(infos)
        assert infos[0]["episode"]["l"] == 2


def test_importing_the_views_loads_neither_library() -> None:
    code = f"import sys; sys.path[:] = {sys.path!r}; import mtrl.envs.views; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "mtrl.envs.views" in loaded
    assert not {"gymnasium", "stable_baselines3", "torch"} & set(loaded)
