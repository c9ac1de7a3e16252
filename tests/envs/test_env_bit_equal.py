"""The environments that workers step equal stock metaworld, bit for bit: all fifty tasks, both rewards."""

from pathlib import Path

import mujoco
import numpy as np
import pytest
from metaworld.policies import ENV_POLICY_MAP

from mtrl.envs.catalog import CATALOG
from mtrl.envs.goals import benchmark_goals
from mtrl.envs.metaworld.internals.episode_start import visible_goal
from mtrl.envs.metaworld.simulators import Group, Simulators
from mtrl.envs.tasks import task_names
from tests.envs.stock import stock_env

# A scripted policy asks for more than the action range.
pytestmark = pytest.mark.filterwarnings("ignore:Constant")
GOALS = dict(zip(CATALOG, benchmark_goals(tuple(CATALOG), seed=0), strict=True))
EPISODES = ((0, "scripted"), (7, "random"), (0, "random"))
"""Goal and who acts: the first goal is returned to, with other actions."""


@pytest.mark.parametrize("task", CATALOG)
def test_every_task(task: str) -> None:
    _compare(task, "v2", steps=20)


@pytest.mark.parametrize("task", task_names("MT10"))
def test_whole_episodes_of_mt10(task: str) -> None:
    _compare(task, "v2", steps=500)


@pytest.mark.parametrize("task", task_names("MT10"))
def test_v1_rewards_of_mt10(task: str) -> None:
    _compare(task, "v1", steps=20)


@pytest.mark.slow
@pytest.mark.parametrize("reward_version", ["v2", "v1"])
@pytest.mark.parametrize("task", CATALOG)
def test_whole_episodes_of_every_task(task: str, reward_version: str) -> None:
    _compare(task, reward_version, steps=500)


def _compare(task: str, reward_version: str, steps: int) -> None:
    """Episodes of `steps` each, beside a neighbour on the same model that has another goal and other actions."""
    stock = stock_env(task, reward_version)
    ours = Simulators([Group(task, GOALS[task], 2)], reward_version)
    rng = np.random.default_rng(1)
    for goal, actor in EPISODES:
        stock.set_task(visible_goal(GOALS[task][goal]))
        obs, _ = stock.reset()
        first = ours.reset(np.array([goal, goal + 1]))
        assert first[0].tobytes() == obs.tobytes(), "first observation"
        for number, noise in enumerate(rng.uniform(-1, 1, (steps, 4))):
            wanted = ENV_POLICY_MAP[task]().get_action(obs) if actor == "scripted" else np.zeros(4)
            scale = 0.2 if actor == "scripted" else 1.0
            action = np.clip(wanted + scale * noise, -1, 1).astype(np.float32)
            obs, reward, _, _, info = stock.step(action)
            next_obs, rewards, successes = ours.step(np.stack([action, -action]))
            assert next_obs[0].tobytes() == obs.tobytes(), f"observation of step {number}"
            assert np.float64(rewards[0]).tobytes() == np.float64(reward).tobytes(), f"reward of step {number}"
            assert successes[0] == bool(info["success"]), f"success of step {number}"


def test_a_simulation_that_blows_up_goes_on_as_in_stock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MuJoCo then resets its data, the hand's orientation included, and writes a log to the working directory."""
    monkeypatch.chdir(tmp_path)
    stock, ours = stock_env("reach-v3"), Simulators([Group("reach-v3", GOALS["reach-v3"], 1)], "v2")
    ours.reset(np.array([0]))
    stock.set_task(visible_goal(GOALS["reach-v3"][0]))
    stock.reset()
    _, data, _ = ours.physics[0]
    for number, action in enumerate(np.random.default_rng(0).uniform(-1, 1, (20, 4)).astype(np.float32)):
        if number == 5:
            stock.data.qvel[0] = data.qvel[0] = 1e11
        obs, reward, *_ = stock.step(action)
        our_obs, our_reward, _ = ours.step(action[None])
        assert our_obs[0].tobytes() == obs.tobytes()
        assert our_reward[0] == reward
    assert stock.data.warning[mujoco.mjtWarning.mjWARN_BADQVEL].number > 0


def test_all_fifty_together_equal_each_of_them_alone() -> None:
    """One to three environments of each: other models, goals and numbers of objects beside each other."""
    counts = [1 + number % 3 for number in range(len(CATALOG))]
    groups = [Group(task, GOALS[task], count) for task, count in zip(CATALOG, counts, strict=True)]
    together, parts = Simulators(groups, "v2"), np.cumsum(counts)[:-1]
    draw = np.random.default_rng(2)
    goals, actions = draw.integers(50, size=sum(counts)), draw.uniform(-1, 1, (10, sum(counts), 4)).astype(np.float32)
    first = np.split(together.reset(goals), parts)
    steps = [[np.split(array, parts) for array in together.step(action)] for action in actions]
    for number, (group, own) in enumerate(zip(groups, np.split(goals, parts), strict=True)):
        alone = Simulators([group], "v2")
        np.testing.assert_array_equal(first[number], alone.reset(own))
        for action, step in zip(actions, steps, strict=True):
            for ours, theirs in zip(step, alone.step(np.split(action, parts)[number]), strict=True):
                np.testing.assert_array_equal(ours[number], theirs, err_msg=group.task)
