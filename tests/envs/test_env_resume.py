"""A loaded state goes on bit for bit; seeds decide everything else."""

from collections.abc import Callable, Iterable

import numpy as np
import pytest

from mtrl import envs
from mtrl.envs.catalog import CATALOG

Actions = Callable[[envs.VectorEnv, int], np.ndarray]


def _run(env: envs.VectorEnv, actions: Iterable[np.ndarray]) -> list[envs.Step]:
    return [env.step(action) for action in actions]


def _assert_equal(left: list[envs.Step], right: list[envs.Step]) -> None:
    assert len(left) == len(right)
    for one, other in zip(left, right, strict=True):
        for name, a, b in zip(envs.Step._fields, one, other, strict=True):
            np.testing.assert_array_equal(a, b, err_msg=name)


def test_resume_in_a_fresh_environment_is_exact(random_actions: Actions) -> None:
    """All ten tasks, saved in the middle of the second episode, into the third."""
    with envs.make("MT10", seed=4, horizon=40, num_workers=1) as straight:
        actions = random_actions(straight, 90)
        straight.reset()
        before = _run(straight, actions[:60])
        state = straight.state_dict()
        expected = _run(straight, actions[60:])
        assert all(array.dtype.kind in "iuf" for array in state.values())

    with envs.make("MT10", seed=4, horizon=40, num_workers=2) as resumed:
        obs = resumed.load_state_dict(state)
        np.testing.assert_array_equal(obs, before[-1].obs)
        saved_again = resumed.state_dict()
        _assert_equal(_run(resumed, actions[60:]), expected)

        # The same environment can go back as well, from another episode.
        np.testing.assert_array_equal(resumed.load_state_dict(state), obs)
        _assert_equal(_run(resumed, actions[60:75]), expected[:15])
    for name, array in state.items():
        np.testing.assert_array_equal(array, saved_again[name])


@pytest.mark.slow
def test_resume_is_exact_for_all_fifty_tasks(random_actions: Actions) -> None:
    with envs.make(tuple(CATALOG), horizon=60) as straight:
        actions = random_actions(straight, 180)
        straight.reset()
        _run(straight, actions[:80])
        state = straight.state_dict()
        expected = _run(straight, actions[80:])
    with envs.make(tuple(CATALOG), horizon=60) as resumed:
        resumed.load_state_dict(state)
        _assert_equal(_run(resumed, actions[80:]), expected)


def test_state_right_after_a_reset(random_actions: Actions) -> None:
    with envs.make(["push-v3"], horizon=6) as env:
        actions = random_actions(env, 6)
        env.reset()
        obs = _run(env, actions)[-1].obs
        state = env.state_dict()
        expected = _run(env, actions)
        np.testing.assert_array_equal(env.load_state_dict(state), obs)
        _assert_equal(_run(env, actions), expected)


def test_seed_decides_and_workers_and_global_generator_do_not(random_actions: Actions) -> None:
    tasks = ["peg-insert-side-v3", "reach-v3", "push-v3"]

    def episode(seed: int, num_workers: int, global_seed: int) -> tuple[np.ndarray, list[envs.Step]]:
        np.random.seed(global_seed)
        before = np.random.get_state(legacy=False)["state"]["key"].copy()
        with envs.make(tasks, num_envs_per_task=2, seed=seed, num_workers=num_workers, horizon=8) as env:
            obs = env.reset()
            steps = _run(env, random_actions(env, 10))
        np.testing.assert_array_equal(np.random.get_state(legacy=False)["state"]["key"], before)
        return obs, steps

    obs, steps = episode(seed=0, num_workers=1, global_seed=0)
    same_obs, same_steps = episode(seed=0, num_workers=3, global_seed=1)
    np.testing.assert_array_equal(obs, same_obs)
    _assert_equal(steps, same_steps)
    other_obs, _ = episode(seed=1, num_workers=2, global_seed=0)
    assert (obs != other_obs).any(axis=-1).all()
