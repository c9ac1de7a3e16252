"""Tasks of different sizes, bounds, limits and families in one vector environment, beside each one alone."""

import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.wrappers import FlattenObservation

from mtrl import envs
from mtrl.envs.registered.backend import reset_seed
from tests.envs.options_of import options_of
from tests.envs.registered_tasks import CustomDict

assert callable(CustomDict)  # registered with the import
HOPPER = {"id": "Hopper-v5", "kwargs": {"forward_reward_weight": 2.0}}
BODIES = ["HalfCheetah-v5", HOPPER, "Pendulum-v1", "CustomDict-v0", "CustomReach-v0"]
MIXED = ["Hopper-v5", "reach-v3", "Pendulum-v1", "drawer-open-v3"]
SUITE = ["dm_control/cartpole-swingup-v0", "dm_control/cheetah-run-v0"]
needs_suite = pytest.mark.skipif(not (find_spec("shimmy") and find_spec("dm_control")), reason="extra dmc is missing")
Actions = Callable[[envs.VectorEnv, int], np.ndarray]


def _stock(task: str | dict) -> gymnasium.Env:
    name, kwargs = (task, {}) if isinstance(task, str) else (task["id"], task["kwargs"])
    env = gymnasium.make(name, **kwargs)
    return FlattenObservation(env) if isinstance(env.observation_space, gymnasium.spaces.Dict) else env


def check_beside_stock(tasks: list, random_actions: Actions, steps: int, **options: Any) -> set[tuple[str, bool]]:
    """Every number of every step is that of `gymnasium.make`; returns the tasks that ended, and whether by themselves.

    Behind a task's own numbers there are zeros.
    """
    ends = set()
    with envs.make(tasks, num_envs_per_task=2, seed=4, num_workers=2, **options) as env:
        actions = random_actions(env, steps)
        first, taken = env.reset(), [env.step(action) for action in actions]
        for t, e in np.ndindex(len(tasks), 2):
            stock, info = _stock(tasks[t]), env.infos[t]
            assert (info.observation,) == stock.observation_space.shape
            low, high = (bound.astype(float) for bound in (stock.action_space.low, stock.action_space.high))
            episode, length = 0, 0
            obs, _ = stock.reset(seed=reset_seed(options_of(env), t, e, episode))
            np.testing.assert_array_equal(first[t, e, : info.observation], obs)
            for number, step in enumerate(taken):
                share = (actions[number, t, e, : info.action].astype(float) + 1) / 2
                obs, reward, terminated, truncated, told = stock.step(
                    (low + share * (high - low)).astype(stock.action_space.dtype)
                )
                length += 1
                np.testing.assert_array_equal(step.next_obs[t, e, : info.observation], obs)
                assert not step.next_obs[t, e, info.observation :].any()
                assert (step.reward[t, e], step.terminated[t, e]) == (reward, terminated)
                assert step.truncated[t, e] == (truncated or length == options.get("horizon"))
                assert ("success" in told or "is_success" in told) == info.has_success
                if terminated or step.truncated[t, e]:
                    ends.add((info.name, bool(terminated)))
                    episode, length = episode + 1, 0
                    obs, _ = stock.reset(seed=reset_seed(options_of(env), t, e, episode))
                np.testing.assert_array_equal(step.obs[t, e, : info.observation], obs)
                assert not step.obs[t, e, info.observation :].any()
    return ends


def test_every_body_is_stepped_as_gymnasium_steps_it(random_actions: Actions) -> None:
    ends = check_beside_stock(BODIES, random_actions, 220)
    assert {name.partition("(")[0] for name, _ in ends} == {
        "Hopper-v5",
        "Pendulum-v1",
        "CustomDict-v0",
        "CustomReach-v0",
    }
    assert ("Hopper-v5(forward_reward_weight=2.0)", True) in ends  # it falls
    assert ("Pendulum-v1", False) in ends  # at its own limit


def test_a_horizon_is_for_all_and_limits_hold_beside_it(random_actions: Actions) -> None:
    limited = {"id": "Pendulum-v1", "kwargs": {"max_episode_steps": 7, "g": 9.0}}
    ends = check_beside_stock([limited, "HalfCheetah-v5"], random_actions, 25, horizon=12)
    assert ends == {("Pendulum-v1(max_episode_steps=7, g=9.0)", False), ("HalfCheetah-v5", False)}
    with envs.make([limited, "HalfCheetah-v5"], horizon=12) as env:
        assert options_of(env).horizons == (7, 12)
        assert env.horizon == 12


def test_what_simulates_is_named() -> None:
    with envs.make(["Hopper-v5"]) as env:
        assert env.simulator.versions == {name: version(name) for name in ("gymnasium", "mujoco")}
    with envs.make(["Pendulum-v1"]) as env:
        assert set(env.simulator.versions) == {"gymnasium"}


def test_a_single_task_is_a_set_of_one() -> None:
    for one in ("Pendulum-v1", ["Pendulum-v1"], {"id": "Pendulum-v1"}, {"id": "Pendulum-v1", "kwargs": {}}):
        assert envs.task_names(one) == ("Pendulum-v1",)
    assert envs.task_names(HOPPER) == envs.task_names("Hopper-v5(forward_reward_weight=2.0)")
    assert envs.task_infos("Pendulum-v1") == (envs.TaskInfo("Pendulum-v1", 3, 1, 200, has_success=False),)


def test_families_beside_each_other_are_what_each_is_alone(random_actions: Actions) -> None:
    """Meta-World's numbers and a registered task's, in any order, with a horizon each and the one-hot vector behind."""
    options: dict[str, Any] = {"num_envs_per_task": 2, "seed": 4}
    own, theirs = [1, 3], [0, 2]
    with (
        envs.make(MIXED, one_hot=True, num_workers=2, **options) as mixed,
        envs.make([MIXED[t] for t in own], num_workers=1, **options) as metaworld,
        envs.make([MIXED[t] for t in theirs], num_workers=1, **options) as registered,
    ):
        assert (mixed.observation_size, mixed.action_size) == envs.sizes(MIXED, one_hot=True) == (39 + 4, 4)
        assert (mixed.horizon, [info.has_success for info in mixed.infos]) == (1000, [False, True, False, True])
        assert mixed.simulator.backend == "gymnasium and metaworld"
        assert {"mujoco", "metaworld", "gymnasium"} <= set(mixed.simulator.versions)
        obs, alone = mixed.reset(), {0: metaworld.reset(), 1: registered.reset()}
        for number in range(503):
            actions = random_actions(mixed, 1)[0] if number else np.zeros((4, 2, 4))
            for tasks, shown in ((own, alone[0]), (theirs, alone[1])):
                np.testing.assert_array_equal(obs[tasks, :, : shown.shape[-1]], shown)
                assert not obs[tasks, :, shown.shape[-1] : 39].any()
            np.testing.assert_array_equal(obs[:, 0, 39:], np.eye(4))
            step = mixed.step(actions)
            for tasks, env, index in ((own, metaworld, 0), (theirs, registered, 1)):
                one = env.step(actions[tasks][..., : env.action_size])
                for name in ("reward", "terminated", "truncated", "success", "episode_return", "episode_length"):
                    np.testing.assert_array_equal(getattr(step, name)[tasks], getattr(one, name), err_msg=name)
                alone[index] = one.obs
            obs = step.obs
            assert step.done[own].all() == (number == 499)


def test_a_horizon_beyond_meta_worlds_is_for_the_others() -> None:
    with envs.make(["reach-v3", "Hopper-v5", "Pendulum-v1"], horizon=600, num_workers=2) as env:
        assert options_of(env).horizons == (500, 600, 200)
        env.reset()
        ends = [env.step(np.zeros((3, 1, 4))).truncated[:, 0] for _ in range(601)]
    assert [np.flatnonzero(of_task).tolist()[:1] for of_task in np.transpose(ends)[[0, 2]]] == [[499], [199]]


@pytest.mark.parametrize(
    "tasks",
    [
        pytest.param(BODIES, id="bodies"),
        pytest.param(MIXED, id="families"),
        pytest.param(SUITE, id="suite", marks=needs_suite),
    ],
)
def test_resume_is_exact(tasks: list, random_actions: Actions) -> None:
    made: dict[str, Any] = {"num_envs_per_task": 2, "seed": 4}
    with envs.make(tasks, num_workers=2, **made) as straight:
        actions = random_actions(straight, 60)
        straight.reset()
        for action in actions[:30]:
            obs = straight.step(action).obs
        state = straight.state_dict()
        expected = [straight.step(action) for action in actions[30:]]
    with envs.make(tasks, num_workers=1, **made) as resumed:
        np.testing.assert_array_equal(resumed.load_state_dict(state), obs)
        for action, other in zip(actions[30:], expected, strict=True):
            for name, a, b in zip(envs.Step._fields, resumed.step(action), other, strict=True):
                np.testing.assert_array_equal(a, b, err_msg=name)
        with pytest.raises(ValueError, match="state"):
            resumed.load_state_dict({"7.obs": obs})


def test_seeds_decide_everything() -> None:
    def starts(seed: int) -> np.ndarray:
        with envs.make(MIXED, seed=seed) as env:
            return env.reset()

    np.testing.assert_array_equal(starts(1), starts(1))
    assert (starts(1) != starts(2)).any(axis=-1).all()


def test_what_does_not_fit_is_one_line() -> None:
    wrong: list[tuple[list, dict[str, Any], str]] = [
        ([{"id": "Hopper-v5", "kwarg": {}}], {}, "must be {id: Name-v0, kwargs: {...}}, got"),
        ([{"id": "Hopper-v5", "kwargs": {"a b": 1}}], {}, "names of arguments for keys, got 'a b'"),
        ([{"id": "Hopper-v5", "kwargs": {"frame_skip": np.ones(2)}}], {}, "frame_skip of 'Hopper-v5' must be made of"),
        (["Hopper-v5(4)"], {}, r"must be Name-v0\(key=value, ...\), got 'Hopper-v5\(4\)'"),
        (["Hopper-v5(skip=open('x'))"], {}, "must be Name-v0"),
        ([{"id": "Hopper-v5", "kwargs": {"colour": 1}}], {}, "cannot be made: .*colour"),
        ([{"id": "reach-v3", "kwargs": {"goal": 1}}], {}, "Meta-World's take no arguments"),
        (["Hopper-v5", HOPPER, HOPPER], {}, r"a task once, got 'Hopper-v5\(forward_reward_weight=2.0\)' 2 times"),
        (["CustomEndless-v0"], {}, "horizon must be given: an episode of CustomEndless-v0 has no limit of its own"),
        (MIXED, {"horizon": 0}, "horizon must be an integer >= 1, got 0"),
        (["Hopper-v5"], {"backend": "envpool"}, "simulates Meta-World alone"),
    ]
    for tasks, change, message in wrong:
        with pytest.raises(ValueError, match=message) as error:
            envs.make(tasks, **change)
        assert "\n" not in str(error.value)


@needs_suite
def test_the_control_suite(random_actions: Actions) -> None:
    assert [info.limit for info in envs.task_infos(SUITE)] == [1000, 1000]
    ends = check_beside_stock(SUITE, random_actions, 1005)
    assert ends == {(name, False) for name in SUITE}


@needs_suite
def test_what_is_not_of_the_suite_has_no_end_that_is_known() -> None:
    changed = {"id": SUITE[0], "kwargs": {"environment_kwargs": {"control_timestep": 0.02}}}
    tasks: list[str | dict[str, Any]] = ["dm_control/lqr-lqr_2_1-v0", changed]
    for task in tasks:
        (info,) = envs.task_infos(task)
        assert info.limit is None
        with pytest.raises(ValueError, match="horizon must be given"):
            envs.make(task)


@needs_suite
def test_the_control_suite_loads_silently(capfd) -> None:
    script = f"""
import warnings
from mtrl import envs
before = list(warnings.filters)
with envs.make({SUITE}) as env:
    env.reset()
assert ("always", None, DeprecationWarning, None, 0) not in set(warnings.filters) - set(before)
"""
    subprocess.run([sys.executable, "-c", script], check=True)
    assert capfd.readouterr() == ("", "")
