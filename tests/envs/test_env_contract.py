"""What `Step` promises, on every backend."""

import importlib.util
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from mtrl import envs

TASKS = ["reach-v3", "drawer-close-v3", "window-open-v3"]
SHAPE = (3, 2)
HORIZON = 5

needs_envpool = pytest.mark.skipif(importlib.util.find_spec("envpool") is None, reason="EnvPool is an extra")


@pytest.fixture(scope="module", params=["metaworld", pytest.param("envpool", marks=needs_envpool)])
def env(request: pytest.FixtureRequest) -> Iterator[envs.VectorEnv]:
    with envs.make(TASKS, num_envs_per_task=2, horizon=HORIZON, backend=request.param, seed=1) as made:
        yield made


@pytest.fixture
def steps(env: envs.VectorEnv) -> list[envs.Step]:
    """Two episodes and a bit, of random actions."""
    env.reset()
    actions = np.random.default_rng(0).uniform(-1, 1, (2 * HORIZON + 2, *SHAPE, 4))
    return [env.step(action) for action in actions]


def test_attributes(env: envs.VectorEnv) -> None:
    assert env.tasks == tuple(TASKS)
    assert (env.num_envs_per_task, env.observation_size, env.action_size, env.horizon) == (2, 39, 4, HORIZON)
    assert {"mujoco", env.simulator.backend} <= set(env.simulator.versions)


def test_shapes_and_types(env: envs.VectorEnv, steps: list[envs.Step]) -> None:
    assert env.reset().shape == (*SHAPE, 39)
    for step in steps:
        assert step.obs.shape == step.next_obs.shape == (*SHAPE, 39)
        assert step.obs.dtype == step.next_obs.dtype == step.reward.dtype == step.episode_return.dtype == float
        for flag in (step.terminated, step.truncated, step.success, step.episode_success, step.done):
            assert flag.dtype == bool
            assert flag.shape == SHAPE
        assert step.episode_length.dtype == np.int64
        assert np.isfinite(step.obs).all()


def test_truncation_and_counts(steps: list[envs.Step]) -> None:
    total = np.zeros(SHAPE)
    succeeded = np.zeros(SHAPE, dtype=bool)
    for number, step in enumerate(steps):
        length = number % HORIZON + 1
        if length == 1:
            total, succeeded = np.zeros(SHAPE), np.zeros(SHAPE, dtype=bool)
        total, succeeded = total + step.reward, succeeded | step.success
        np.testing.assert_array_equal(step.truncated, length == HORIZON)
        np.testing.assert_array_equal(step.done, step.truncated)
        assert not step.terminated.any()
        np.testing.assert_array_equal(step.episode_length, length)
        np.testing.assert_array_equal(step.episode_return, total)
        np.testing.assert_array_equal(step.episode_success, succeeded)


def test_next_obs_is_the_successor_and_obs_what_to_act_on(steps: list[envs.Step]) -> None:
    """An observation holds the frame before it in 18:36, which ties a successor to its predecessor.

    The first step of an episode is left out: some tasks' frame before it is stale in Meta-World itself.
    """
    for number in range(1, len(steps)):
        before, after = steps[number - 1], steps[number]
        if number % HORIZON != 0:
            np.testing.assert_array_equal(before.obs, before.next_obs)
            np.testing.assert_array_equal(after.next_obs[..., 18:36], before.obs[..., :18])
    for last in (steps[HORIZON - 1], steps[2 * HORIZON - 1]):
        assert (last.obs[..., :3] != last.next_obs[..., :3]).any(axis=-1).all()
        np.testing.assert_array_equal(last.obs[..., :18], last.obs[..., 18:36])  # a reset repeats its frame


def test_arrays_are_the_callers_own(env: envs.VectorEnv) -> None:
    env.reset()
    first = env.step(np.zeros((*SHAPE, 4)))
    kept = [np.copy(field) for field in first]
    first_obs = first.obs
    env.step(np.ones((*SHAPE, 4)))
    for field, copy in zip(first, kept, strict=True):
        np.testing.assert_array_equal(field, copy)
    first_obs[:] = -1
    np.testing.assert_array_equal(first.next_obs, kept[1])


def test_environments_of_a_task_differ_in_goals(env: envs.VectorEnv) -> None:
    goals = np.stack([env.reset()[..., 36:39] for _ in range(3)])
    assert (goals[:, :, 0] != goals[:, :, 1]).any(axis=(0, 2)).all()


def test_actions_are_checked(env: envs.VectorEnv) -> None:
    env.reset()
    with pytest.raises(ValueError, match=r"shape .* = \(3, 2, 4\), got \(3, 4\)"):
        env.send(np.zeros((3, 4)))
    for bad in (np.nan, np.inf):
        actions = np.zeros((*SHAPE, 4))
        actions[1, 0, 2] = bad
        with pytest.raises(ValueError, match=r"finite, got .* for drawer-close-v3"):
            env.send(actions)
    assert env.step(np.zeros((*SHAPE, 4))).episode_length.max() == 1  # a refused action is no step


def test_calls_out_of_turn(env: envs.VectorEnv) -> None:
    env.reset()
    with pytest.raises(RuntimeError, match=r"recv\(\) without send\(\)"):
        env.recv()
    env.send(np.zeros((*SHAPE, 4)))
    for call in (lambda: env.send(np.zeros((*SHAPE, 4))), env.reset, env.state_dict):
        with pytest.raises(RuntimeError, match=r"call recv\(\) first"):
            call()
    env.recv()


def test_state_of_another_make_is_refused(env: envs.VectorEnv) -> None:
    env.reset()
    state = env.state_dict()
    with pytest.raises(ValueError, match="another make"):
        env.load_state_dict({**state, "make": np.array(0)})
    with pytest.raises(ValueError, match="entries"):
        env.load_state_dict({"episode": state["episode"]})


@pytest.mark.parametrize("backend", ["metaworld", pytest.param("envpool", marks=needs_envpool)])
def test_before_reset_and_after_close(backend: str) -> None:
    env = envs.make("MT1:reach-v3", backend=backend)
    for call in (lambda: env.send(np.zeros((1, 1, 4))), env.recv, env.state_dict):
        with pytest.raises(RuntimeError, match=r"call reset\(\) first"):
            call()
    env.close()
    env.close()
    calls: list[Callable[[], object]] = [
        env.reset,
        env.recv,
        env.state_dict,
        lambda: env.send(np.zeros((1, 1, 4))),
        lambda: env.step(np.zeros((1, 1, 4))),
        lambda: env.load_state_dict({}),
    ]
    for forbidden in calls:
        with pytest.raises(RuntimeError, match=r"after close\(\)"):
            forbidden()
