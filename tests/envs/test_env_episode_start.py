"""A reset that is kept holds all that a reset does, and nothing of it is shared by mistake."""

import mujoco
import numpy as np
import pytest
from metaworld.env_dict import ALL_V3_ENVIRONMENTS
from metaworld.sawyer_xyz_env import SawyerXYZEnv

from mtrl.envs.catalog import CATALOG
from mtrl.envs.goals import benchmark_goals
from mtrl.envs.metaworld.internals.episode_start import (
    DATA_FIELDS,
    MODEL_FIELDS,
    EpisodeStart,
    capture,
    resetting_env,
    view_of,
    visible_goal,
)
from mtrl.envs.metaworld.simulators import Group, Simulators
from tests.envs.stock import stock_env

GOALS = dict(zip(CATALOG, benchmark_goals(tuple(CATALOG), seed=0), strict=True))
LIVE = ["basketball-v3", "bin-picking-v3", "door-lock-v3", "pick-place-v3", "window-close-v3"]
"""Tasks some of whose attributes are windows on the simulation, and one that reads stale positions."""

GOAL_SITE_LAGS = ["push-v3", "push-back-v3"]
"""Tasks whose reset leaves the goal's site at a height that depends on episodes before, unless someone steps."""


@pytest.mark.parametrize("task", CATALOG)
def test_a_reset_writes_no_more_of_the_model_than_is_kept(task: str) -> None:
    env = stock_env(task)
    before = _arrays(env.model)
    for goal in (0, 7):
        env.set_task(visible_goal(GOALS[task][goal]))
        env.reset()
        after = _arrays(env.model)
        changed = {name for name in before if not np.array_equal(before[name], after[name], equal_nan=True)}
        assert changed <= set(MODEL_FIELDS)


@pytest.mark.parametrize("task", CATALOG)
def test_what_is_kept_equals_a_whole_reset(task: str) -> None:
    """Although the hand moves to its place once instead of twice."""
    whole, ours = stock_env(task), resetting_env(task, "v2")
    for goal in (0, 7, 0):
        whole.set_task(visible_goal(GOALS[task][goal]))
        obs, _ = whole.reset()
        start = capture(ours, GOALS[task][goal])
        np.testing.assert_array_equal(start.obs, obs)
        state = np.empty_like(start.state)
        mujoco.mj_getState(whole.model, whole.data, state, mujoco.mjtState.mjSTATE_INTEGRATION)
        np.testing.assert_array_equal(start.state, state)
        for field in MODEL_FIELDS:
            np.testing.assert_array_equal(start.model[field], getattr(whole.model, field), err_msg=field)
        for field in DATA_FIELDS:
            rows = np.arange(len(start.data[field]))
            if task in GOAL_SITE_LAGS and field == "site_xpos":
                rows = np.delete(rows, whole.model.site("goal").id)
            np.testing.assert_array_equal(start.data[field][rows], getattr(whole.data, field)[rows], err_msg=field)
        _assert_attributes_equal(whole, ours)


@pytest.mark.parametrize("task", LIVE)
def test_restored_environment_equals_one_that_was_reset(task: str) -> None:
    reset, restored = stock_env(task), stock_env(task)
    starts = _starts(task, 0, 7)
    rng = np.random.default_rng(0)
    for goal in (0, 7, 0):
        reset.set_task(visible_goal(GOALS[task][goal]))
        _restore(starts[goal], restored)
        np.testing.assert_array_equal(starts[goal].obs, reset.reset()[0])
        for field in DATA_FIELDS:
            np.testing.assert_array_equal(getattr(restored.data, field), getattr(reset.data, field), err_msg=field)
        _assert_attributes_equal(reset, restored)
        for action in rng.uniform(-1, 1, (30, 4)).astype(np.float32):
            reset.step(action)
            restored.step(action)
        _assert_attributes_equal(reset, restored)


def test_live_attributes_are_windows_on_their_own_environment() -> None:
    start = _starts("pick-place-v3", 0)[0]
    assert set(start.views) == {"init_left_pad", "init_right_pad"}
    one, other = stock_env("pick-place-v3"), stock_env("pick-place-v3")
    for env in (one, other):
        _restore(start, env)
        assert np.shares_memory(env.init_left_pad, env.data.xpos)
        assert not np.shares_memory(env.obj_init_pos, start.attributes["_last_rand_vec"])
    before = other.init_left_pad.copy()
    for _ in range(5):
        one.step(np.ones(4, dtype=np.float32))
    np.testing.assert_array_equal(other.init_left_pad, before)
    assert not np.array_equal(one.init_left_pad, before)


def test_view_of_finds_the_row() -> None:
    env = stock_env("reach-v3")
    view = view_of(env.data.body("leftpad").xpos, env.data)
    assert view == ("xpos", env.model.body("leftpad").id)
    assert view_of(env.data.xpos.copy()[0], env.data) is None
    assert view_of(1.0, env.data) is None


def test_what_is_kept_cannot_be_written() -> None:
    start = _starts("reach-v3", 0)[0]
    for array in (start.obs, start.attributes["_target_pos"], *start.model.values(), *start.data.values()):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0


@pytest.mark.parametrize("task", LIVE)
def test_environments_on_one_model_do_not_touch_each_other(task: str) -> None:
    """Three together, with other goals and resets at other times, equal each of them alone."""
    actions = np.random.default_rng(2).uniform(-1, 1, (40, 3, 4)).astype(np.float32)
    goals = np.array([3, 11, 3])
    together = Simulators([Group(task, GOALS[task], 3)], "v2")
    first = together.reset(goals)
    steps = [together.step(action) for action in actions]
    again = together.reset(goals[::-1])
    for env, goal in enumerate(goals):
        alone = Simulators([Group(task, GOALS[task], 1)], "v2")
        np.testing.assert_array_equal(alone.reset(goals[env : env + 1])[0], first[env])
        for action, (obs, reward, success) in zip(actions, steps, strict=True):
            own_obs, own_reward, own_success = alone.step(action[env : env + 1])
            np.testing.assert_array_equal(own_obs[0], obs[env])
            assert (own_reward[0], own_success[0]) == (reward[env], success[env])
        np.testing.assert_array_equal(alone.reset(np.array([goal]))[0], again[2 - env])


def test_stock_metaworld_stays_stock() -> None:
    """Our environments run a second copy of metaworld's modules; the package keeps its own."""
    env_class = ALL_V3_ENVIRONMENTS["push-v3"]
    before = dict(vars(env_class))
    Simulators([Group("push-v3", GOALS["push-v3"], 1)], "v2").reset(np.array([0]))
    assert dict(vars(env_class)) == before
    assert env_class.compute_reward.__globals__["np"] is np
    assert env_class.compute_reward.__globals__["reward_utils"].__name__ == "metaworld.utils.reward_utils"
    assert "small_math" not in env_class.compute_reward.__globals__["reward_utils"].tolerance.__module__


def _restore(start: EpisodeStart, env: SawyerXYZEnv) -> None:
    """Put a stock environment where a reset would."""
    for field, value in start.model.items():
        getattr(env.model, field)[:] = value
    start.place_data(env.model, env.data)
    start.place_attributes(env, env.data)


def _starts(task: str, *goals: int) -> dict[int, EpisodeStart]:
    env = resetting_env(task, "v2")
    return {goal: capture(env, GOALS[task][goal]) for goal in goals}


def _arrays(model: mujoco.MjModel) -> dict[str, np.ndarray]:
    values = {name: getattr(model, name) for name in dir(model) if not name.startswith("_")}
    return {name: value.copy() for name, value in values.items() if isinstance(value, np.ndarray)}


def _assert_attributes_equal(one: object, other: object) -> None:
    arrays = {name for name, value in vars(one).items() if isinstance(value, np.ndarray | float | int)}
    assert len(arrays) > 20
    for name in arrays - {"_last_stable_obs"}:  # of the last step, whatever a reset did; nothing is computed from it
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
