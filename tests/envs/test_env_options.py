"""Options of the exact backend: hidden goals, one-hot tasks, V1 rewards, goals and seeds."""

import importlib.util
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from metaworld.env_dict import ALL_V3_ENVIRONMENTS
from metaworld.types import Task

from mtrl import envs
from mtrl.envs.goals import benchmark_goals

Actions = Callable[[envs.VectorEnv, int], np.ndarray]
THREE = ("push-v3", "drawer-open-v3", "peg-insert-side-v3")


def _assert_equals_stock(tasks: tuple[str, ...], steps: int, actions: Actions, hidden: bool, version: str) -> None:
    """One episode of each task beside metaworld's own environment with metaworld's own options."""
    with envs.make(tasks, goal_order="cycle", goals_visible=not hidden, reward_version=version) as env:
        drawn = actions(env, steps)
        first = env.reset()
        ours = [env.step(action) for action in drawn]
    for index, (task, goals) in enumerate(zip(tasks, benchmark_goals(tasks, seed=0), strict=True)):
        cls = ALL_V3_ENVIRONMENTS[task]
        stock = cls(reward_function_version=version)
        data = {"env_cls": cls, "rand_vec": goals[0], "partially_observable": hidden}
        stock.set_task(Task(env_name=task, data=pickle.dumps(data)))
        np.testing.assert_array_equal(first[index, 0], stock.reset()[0], err_msg=task)
        assert (first[index, 0, 36:] == 0).all() == hidden
        for number, step in enumerate(ours):
            obs, reward, _, _, info = stock.step(drawn[number, index, 0])
            np.testing.assert_array_equal(step.next_obs[index, 0], obs, err_msg=f"{task} step {number}")
            assert step.reward[index, 0] == reward, f"{task} step {number}"
            assert step.success[index, 0] == bool(info["success"]), f"{task} step {number}"


def test_hidden_goals_equal_stock(random_actions: Actions) -> None:
    _assert_equals_stock(THREE, 30, random_actions, hidden=True, version="v2")


def test_v1_rewards_equal_stock(random_actions: Actions) -> None:
    _assert_equals_stock(THREE, 30, random_actions, hidden=False, version="v1")


@pytest.mark.slow
@pytest.mark.parametrize(("hidden", "version"), [(True, "v2"), (False, "v1"), (True, "v1")])
def test_options_equal_stock_for_all_fifty_tasks(random_actions: Actions, hidden: bool, version: str) -> None:
    _assert_equals_stock(envs.MT50, 60, random_actions, hidden, version)


def test_one_hot_follows_the_observation(random_actions: Actions) -> None:
    arguments: dict[str, Any] = {"num_envs_per_task": 2, "horizon": 3, "goal_order": "cycle"}
    with envs.make(THREE, **arguments) as plain, envs.make(THREE, one_hot=True, **arguments) as shown:
        assert (plain.observation_size, shown.observation_size) == (39, 42)
        expected = np.repeat(np.eye(3)[:, None], 2, axis=1)
        pairs = [(plain.reset(), shown.reset())]
        for action in random_actions(plain, 4):
            one, other = plain.step(action), shown.step(action)
            pairs += [(one.obs, other.obs), (one.next_obs, other.next_obs)]
    for without, with_it in pairs:
        np.testing.assert_array_equal(with_it[..., :39], without)
        np.testing.assert_array_equal(with_it[..., 39:], expected)


def test_goal_seed_decides_the_goals_and_seed_which_of_them() -> None:
    def goals(**seeds: Any) -> np.ndarray:
        with envs.make(["reach-v3"], num_envs_per_task=3, horizon=1, **seeds) as env:
            shown = [env.reset()] + [env.step(np.zeros((1, 3, 4))).obs for _ in range(4)]
        return np.concatenate(shown)[..., 36:39].reshape(-1, 3)

    vectors = {seed: benchmark_goals(("reach-v3",), seed)[0][:, 3:] for seed in (0, 1)}

    def all_among(shown: np.ndarray, seed: int) -> bool:
        return bool((shown[:, None] == vectors[seed]).all(-1).any(1).all())

    one, other = goals(seed=1, goal_seed=0), goals(seed=0, goal_seed=0)
    assert all_among(goals(seed=1), 1)
    assert all_among(one, 0)
    assert all_among(other, 0)
    assert (one != other).any()
    np.testing.assert_array_equal(other, goals(seed=0))


def test_one_goal_is_always_the_same() -> None:
    with envs.make(["reach-v3"], num_envs_per_task=2, horizon=1, num_goals=1, seed=4) as env:
        shown = [env.reset(), env.step(np.zeros((1, 2, 4))).obs]
    np.testing.assert_array_equal(
        np.concatenate(shown)[..., 36:39].reshape(-1, 3),
        np.tile(benchmark_goals(("reach-v3",), 4, num_goals=1)[0][0, 3:], (4, 1)),
    )


@pytest.mark.parametrize(
    ("change", "label"),
    [
        ({}, ("the benchmark's 50 per task, one drawn uniformly per episode", "Meta-World V2")),
        ({"reward_version": "v1"}, ("the benchmark's 50 per task, one drawn uniformly per episode", "Meta-World V1")),
        ({"goal_seed": 7}, ("the benchmark's 50 per task of goal seed 7, one drawn", "Meta-World V2")),
        ({"num_goals": 1}, ("1 per task, one drawn uniformly per episode", "Meta-World V2")),
        ({"goals_visible": False, "goal_order": "cycle"}, ("50 per task, visited in turn, not visible", "V2")),
    ],
)
def test_results_are_labelled(change: dict, label: tuple[str, str]) -> None:
    with envs.make(["reach-v3"], **change) as env:
        assert label[0] in env.simulator.goals
        assert label[1] in env.simulator.reward


def test_a_goal_seed_is_named_whatever_the_seed_is() -> None:
    """The seeds of a run share a label, whether it is the seed of one of them or not."""
    labels = []
    for seed in (7, 8):
        with envs.make(["reach-v3"], seed=seed, goal_seed=7) as env:
            labels.append(env.simulator.goals)
    assert set(labels) == {"the benchmark's 50 per task of goal seed 7, one drawn uniformly per episode"}
    with envs.make(["reach-v3"], seed=7) as env:
        env.reset(7)
        with pickle.loads(pickle.dumps(env)) as copy:
            assert copy.simulator.goals == env.simulator.goals
            assert "seed" not in env.simulator.goals


def test_state_holds_to_its_options() -> None:
    made: dict[str, Any] = {"horizon": 4}
    with envs.make(["reach-v3"], **made) as env:
        env.reset()
        state = env.state_dict()
    changes: list[dict[str, Any]] = [
        *({"seed": 1, "goal_seed": 0}, {"goal_seed": 1}, {"goal_order": "cycle"}, {"num_goals": 7}, {"horizon": 5}),
        *({"goals_visible": False}, {"one_hot": True}, {"reward_version": "v1"}, {"num_envs_per_task": 2}),
    ]
    options = [envs.Options(["reach-v3"], **made | change) for change in changes]
    options += [envs.Options(tasks, **made) for tasks in (["reach-v3"], ["push-v3"], ["reach-v3", "push-v3"])]
    assert len({int(one.fingerprint()) for one in options}) == len(options)
    with envs.make(["reach-v3"], **made | changes[0]) as other, pytest.raises(ValueError, match="another make"):
        other.load_state_dict(state)
    with envs.make(["reach-v3"], goal_seed=0, num_workers=1, **made) as same:
        same.load_state_dict(state)


@pytest.mark.skipif(importlib.util.find_spec("envpool") is None, reason="EnvPool is an extra")
def test_envpool_follows_what_it_can(random_actions: Actions) -> None:
    for change, message in (
        ({"reward_version": "v1"}, "knows one reward: reward_version must be 'v2', got 'v1'"),
        ({"num_goals": 1}, "draws a fresh goal for every episode: num_goals must be 50, got 1"),
        ({"goal_seed": 1}, "draws goals of its own: goal_seed must be 0, got 1"),
    ):
        with pytest.raises(ValueError, match=message) as error:
            envs.make(["reach-v3"], backend="envpool", **change)
        assert "\n" not in str(error.value)
    with envs.make(["reach-v3"], backend="envpool", one_hot=True, goals_visible=False) as env:
        obs = env.reset()
        step = env.step(random_actions(env, 1)[0])
        assert "not visible" in env.simulator.goals
    for shown in (obs, step.obs, step.next_obs):
        assert (shown[..., 36:39] == 0).all()
        assert (shown[..., 39:] == 1).all()
        assert (shown[..., :3] != 0).all()
