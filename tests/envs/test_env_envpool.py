"""What is EnvPool's own; the contract tests run on it too."""

import importlib.metadata
import importlib.util
import pickle
from typing import Any

import numpy as np
import pytest

from mtrl import envs
from mtrl.envs.catalog import CATALOG
from mtrl.envs.envpool import DIFFERENT_REWARD, _envpool_name
from mtrl.envs.metaworld.internals.episode_start import visible_goal
from tests.envs.stock import stock_env

pytestmark = pytest.mark.skipif(importlib.util.find_spec("envpool") is None, reason="EnvPool is an extra")

TASKS = ["reach-v3", "drawer-close-v3"]


def _make(seed: int = 0) -> envs.VectorEnv:
    return envs.make(TASKS, num_envs_per_task=2, horizon=5, backend="envpool", seed=seed)


def _run(env: envs.VectorEnv, num_steps: int) -> np.ndarray:
    actions = np.random.default_rng(1).uniform(-1, 1, (num_steps, 2, 2, 4))
    return np.stack([env.step(action).obs for action in actions])


def test_every_task_has_its_name() -> None:
    import envpool

    known = set(envpool.list_all_envs())
    assert all(_envpool_name(task) in known for task in CATALOG)
    assert set(CATALOG) >= DIFFERENT_REWARD


def test_same_seed_same_trajectory() -> None:
    with _make() as one, _make() as same, _make(seed=1) as other:
        np.testing.assert_array_equal(one.reset(), same.reset())
        np.testing.assert_array_equal(_run(one, 12), _run(same, 12))
        assert (one.reset() != other.reset()).any(axis=-1).all()


def test_goals_of_tasks_and_environments_do_not_coincide() -> None:
    """Neighbouring EnvPool seeds share environments: push and reach have one goal box, so it would show."""
    with envs.make(["reach-v3", "push-v3"], num_envs_per_task=3, backend="envpool", seed=5) as env:
        xy = np.concatenate([env.reset()[..., 36:38].reshape(-1, 2) for _ in range(3)])
    assert len(np.unique(xy, axis=0)) == len(xy)


def test_reward_is_float64_and_near_metaworlds() -> None:
    """Beside stock reach-v3 with the goal that is seen; where its object lies, the reward does not ask."""
    with _make() as env:
        goal = env.reset()[0, 0, 36:39]
        steps = [env.step(np.full((2, 2, 4), 0.3)) for _ in range(3)]
    stock = stock_env("reach-v3")
    stock.set_task(visible_goal(np.array([0.0, 0.65, 0.02, *goal])))
    stock.reset()
    for step in steps:
        assert (step.reward != step.reward.astype(np.float32)).any()
        assert step.reward[0, 0] == pytest.approx(stock.step(np.full(4, 0.3, np.float32))[1], rel=1e-2)


def test_loaded_state_begins_new_episodes_that_depend_on_the_state_alone() -> None:
    with _make() as straight, _make() as once, _make() as twice:
        first = straight.reset()
        _run(straight, 7)
        state = straight.state_dict()
        one, two = once.load_state_dict(state), twice.load_state_dict(state)
        np.testing.assert_array_equal(one, two)
        np.testing.assert_array_equal(_run(once, 7), _run(twice, 7))
        assert (one != first).any(axis=-1).all()  # not the run's beginning once more
        assert once.step(np.zeros((2, 2, 4))).episode_length.max() == 3


@pytest.mark.parametrize("num_workers", [0, 2])
def test_beside_other_tasks_it_is_what_it_is_alone(num_workers: int) -> None:
    made: dict[str, Any] = {"num_envs_per_task": 2, "backend": "envpool"}
    with (
        envs.make(["Hopper-v5", *TASKS], num_workers=num_workers, **made) as mixed,
        envs.make(TASKS, **made) as alone,
    ):
        assert mixed.simulator.backend == "gymnasium and envpool"
        assert mixed.simulator.versions["mujoco"] == f"{importlib.metadata.version('mujoco')} and 3.6.0"
        for seed in (None, 5):
            np.testing.assert_array_equal(mixed.reset(seed)[1:, :, :39], alone.reset(seed))
            for action in np.random.default_rng(1).uniform(-1, 1, (3, 3, 2, 4)):
                one, other = mixed.step(action), alone.step(action[1:])
                np.testing.assert_array_equal(one.obs[1:, :, :39], other.obs)
                np.testing.assert_array_equal(one.reward[1:], other.reward)
        with pickle.loads(pickle.dumps(mixed)) as copy:  # as reset(5) left it
            np.testing.assert_array_equal(copy.reset(), mixed.reset(5))


def test_what_it_cannot_do() -> None:
    with pytest.raises(ValueError, match="cannot set goals: goal_order must be 'random', got 'cycle'"):
        envs.make(TASKS, backend="envpool", goal_order="cycle")
    with pytest.raises(ValueError, match="num_workers must be 0, got 2"):
        envs.make(TASKS, backend="envpool", num_workers=2)


def test_warns_of_rewards_that_differ(recwarn: pytest.WarningsRecorder) -> None:
    with pytest.warns(UserWarning, match="not Meta-World's for pick-place-v3"):
        envs.make(["reach-v3", "pick-place-v3"], backend="envpool").close()
    recwarn.clear()
    _make().close()
    assert not recwarn.list


def test_results_are_labelled() -> None:
    with _make() as env:
        assert env.simulator.versions == {"envpool": "1.2.5", "mujoco": "3.6.0"}
        assert "not the benchmark's 50" in env.simulator.goals
        assert "pick-place-v3" in env.simulator.reward


def test_missing_package_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.version", missing)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'mtrl-torch\[envpool\]'"):
        _make()
    with pytest.raises(ModuleNotFoundError, match=r"metaworld: pip install 'mtrl-torch\[rl\]'"):
        envs.make(TASKS)
