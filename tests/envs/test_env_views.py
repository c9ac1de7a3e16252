"""The views of other libraries, beside those libraries' own vector environments and through their own tools."""

import subprocess
import sys
from collections.abc import Iterator

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers.vector import DictInfoToList, NormalizeReward, RecordEpisodeStatistics

from mtrl import envs
from mtrl.envs.registered.backend import reset_seed
from tests.envs.registered_tasks import CustomReach

REACH = "CustomReach-v0"
SEED = 4


def _make(horizon: int = 25) -> envs.VectorEnv:
    assert CustomReach  # registered with the import
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
    seeds = [reset_seed(inner._options, 0, e, 0) for e in range(3)]
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
    with pytest.raises(ValueError, match=r"seed is given to envs.make: reset\(seed=...\) must be 1, got 2"):
        points.reset(seed=2)
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
                assert infos[environment]["final_info"]["episode_success"] == step.episode_success[0, environment]
                np.testing.assert_array_equal(infos[environment]["final_obs"], step.next_obs[0, environment])
                checked += 1
    env.close()
    assert checked > 5


def test_meta_world_through_the_gymnasium_view() -> None:
    arguments = {"num_envs_per_task": 2, "horizon": 3, "goal_order": "cycle", "num_workers": 1}
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
    stock._seeds = [reset_seed(inner._options, 0, e, 0) for e in range(3)]
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
        np.testing.assert_array_equal(obs[~done], stock_obs[~done].astype(np.float32))
        for ended, one, other in zip(done, infos, stock_infos, strict=True):
            assert ("terminal_observation" in one) == ended
            if ended:
                assert one["TimeLimit.truncated"] == other["TimeLimit.truncated"]
                np.testing.assert_array_equal(one["terminal_observation"], other["terminal_observation"].astype("f4"))
    with pytest.raises(AttributeError, match="not 'goal'"):
        view.get_attr("goal")
    assert view.get_attr("task", [0, 2]) == [REACH, REACH]
    view.seed(9)
    with pytest.raises(ValueError, match="must be 4, got 9"):
        view.reset()
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


def test_importing_the_views_loads_neither_library() -> None:
    code = f"import sys; sys.path[:] = {sys.path!r}; import mtrl.envs.views; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "mtrl.envs.views" in loaded
    assert not {"gymnasium", "stable_baselines3", "torch"} & set(loaded)
