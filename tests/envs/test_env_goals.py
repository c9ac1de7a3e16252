"""The goals are the benchmark's, and the choice among them is independent and uniform."""

import pickle

import metaworld
import numpy as np
import pytest

from mtrl import envs
from mtrl.envs.goals import NUM_GOALS, benchmark_goals, goal_index


def goal_indices(order: str, seed: int, tasks: tuple[str, ...], num_envs: int, episode: int) -> np.ndarray:
    """Goals of all environments, `[T, E]`."""
    return np.array(
        [[goal_index(order, seed, t, num_envs, e, episode, NUM_GOALS) for e in range(num_envs)] for t in tasks]
    )


def _rand_vecs(benchmark: metaworld.Benchmark, task: str) -> np.ndarray:
    return np.array([pickle.loads(each.data)["rand_vec"] for each in benchmark.train_tasks if each.env_name == task])


def test_mt10_goals_are_metaworlds_bit_for_bit(stock_mt10: metaworld.MT10) -> None:
    for task, goals in zip(envs.MT10, benchmark_goals(envs.MT10, seed=3), strict=True):
        assert goals.shape[0] == NUM_GOALS
        np.testing.assert_array_equal(goals, _rand_vecs(stock_mt10, task), err_msg=task)


def test_mt1_goals_are_metaworlds_bit_for_bit() -> None:
    stock = metaworld.MT1("push-v3", seed=11)
    np.testing.assert_array_equal(benchmark_goals(("push-v3",), seed=11)[0], _rand_vecs(stock, "push-v3"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["MT25", "MT50"])
def test_goals_of_the_larger_benchmarks_are_metaworlds_bit_for_bit(name: str) -> None:
    stock = getattr(metaworld, name)(seed=1)
    tasks = envs.task_names(name)
    for task, goals in zip(tasks, benchmark_goals(tasks, seed=1), strict=True):
        np.testing.assert_array_equal(goals, _rand_vecs(stock, task), err_msg=task)


def test_fewer_goals_are_those_that_metaworld_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its option `num_goals` of `gymnasium.make_vec` sets this global. MT50 asks for every row of the catalog."""
    monkeypatch.setattr(metaworld, "_N_GOALS", 3)
    stock = metaworld.MT50(seed=3)
    for task, goals in zip(envs.MT50, benchmark_goals(envs.MT50, 3, num_goals=3), strict=True):
        assert len(goals) == 3
        np.testing.assert_array_equal(goals, _rand_vecs(stock, task), err_msg=task)


def test_goals_leave_the_global_generator_alone() -> None:
    np.random.seed(0)
    before = np.random.get_state(legacy=False)["state"]["key"].copy()
    first = benchmark_goals(envs.MT10, seed=0)
    np.testing.assert_array_equal(np.random.get_state(legacy=False)["state"]["key"], before)
    np.random.seed(1)
    for left, right in zip(first, benchmark_goals(envs.MT10, seed=0), strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize("num_envs", [1, 5, 10, 50])
def test_cycle_visits_every_goal_once(num_envs: int) -> None:
    visited = [goal_indices("cycle", 0, envs.MT10, num_envs, episode) for episode in range(50 // num_envs)]
    for task in range(10):
        seen = np.concatenate([indices[task] for indices in visited])
        assert sorted(seen) == list(range(50))


def test_random_order_is_uniform_and_independent() -> None:
    episodes = np.stack([goal_indices("random", 7, ("reach-v3",), 4, episode) for episode in range(1000)])[:, 0]
    expected = len(episodes) / NUM_GOALS
    for environment in range(4):
        counts = np.bincount(episodes[:, environment], minlength=NUM_GOALS)
        chi_square = ((counts - expected) ** 2 / expected).sum()
        assert 20 < chi_square < 95  # 49 degrees of freedom: beyond 1e-4 on either side
    agreement = np.mean(episodes[:, 0] == episodes[:, 1])
    assert agreement < 0.05  # 1/50 if independent, 1 in metaworld's lock step


def test_random_order_depends_on_seed_task_and_environment_alone() -> None:
    both = goal_indices("random", 0, ("reach-v3", "push-v3"), 8, 2)
    np.testing.assert_array_equal(both[1:], goal_indices("random", 0, ("push-v3",), 8, 2))
    np.testing.assert_array_equal(both[:, :3], goal_indices("random", 0, ("reach-v3", "push-v3"), 3, 2))
    assert (both != goal_indices("random", 1, ("reach-v3", "push-v3"), 8, 2)).any()
    assert (both[0] != both[1]).any()
