"""The exact backend equals stock metaworld, wrappers and all, bit for bit."""

from collections.abc import Callable

import gymnasium
import metaworld
import numpy as np
import pytest
from metaworld.policies import ENV_POLICY_MAP

from mtrl import envs

AFTER_RESET = 20


def _stock(task: str, goals: list) -> gymnasium.Env:
    """What `gymnasium.make` gives, told to take its next goals from this list."""
    env = gymnasium.make("Meta-World/MT1", env_name=task, seed=0, disable_env_checker=True)
    env.get_wrapper_attr("toggle_sample_tasks_on_reset")(False)
    env.unwrapped.set_task(goals[0])
    return env


def test_two_episodes_equal_stock_metaworld(
    stock_mt10: metaworld.MT10, random_actions: Callable[[envs.VectorEnv, int], np.ndarray]
) -> None:
    with envs.make("MT10", seed=3, goal_order="cycle", num_workers=1) as env:
        actions = random_actions(env, 500 + AFTER_RESET)
        first = env.reset()
        steps = [env.step(action) for action in actions]

    for index in range(0, 10, 4):  # the simulators of all ten are compared one by one elsewhere
        task = env.tasks[index]
        goals = [goal for goal in stock_mt10.train_tasks if goal.env_name == task]
        stock = _stock(task, goals)
        obs, _ = stock.reset()
        np.testing.assert_array_equal(first[index, 0], obs)
        total, any_success = 0.0, False
        for number, step in enumerate(steps):
            obs, reward, terminated, truncated, info = stock.step(actions[number, index, 0])
            total, any_success = total + float(reward), any_success or info["success"] == 1.0
            np.testing.assert_array_equal(step.next_obs[index, 0], obs, err_msg=f"{task} step {number}")
            assert step.reward[index, 0] == reward
            assert step.success[index, 0] == (info["success"] == 1.0)
            assert step.terminated[index, 0] == terminated
            assert step.truncated[index, 0] == truncated == (number == 499)
            assert step.episode_return[index, 0] == total
            assert step.episode_success[index, 0] == any_success
            if truncated:
                stock.unwrapped.set_task(goals[1])
                obs, _ = stock.reset()
                total, any_success = 0.0, False
            np.testing.assert_array_equal(step.obs[index, 0], obs)
        stock.close()


@pytest.mark.filterwarnings("ignore:Constant")  # a scripted policy asks for more than the action range
@pytest.mark.parametrize("task", ["drawer-close-v3", "door-open-v3"])
def test_scripted_policy_succeeds(task: str) -> None:
    """Success is info["success"] of each step; the horizon cuts, the any-step success is kept."""
    policy = ENV_POLICY_MAP[task]()
    with envs.make([task], seed=0, goal_order="cycle", horizon=250) as env:
        obs = env.reset()
        seen = False
        for _ in range(250):
            action = np.clip(policy.get_action(obs[0, 0]), -1, 1)
            step = env.step(action[None, None])
            seen = seen or bool(step.success[0, 0])
            assert step.episode_success[0, 0] == seen
            obs = step.obs
    assert step.done.all()
    assert seen


def test_goal_is_visible_and_differs_between_episodes() -> None:
    with envs.make(["reach-v3"], num_envs_per_task=2, goal_order="cycle", horizon=2) as env:
        goals = [env.reset()[0, :, 36:39]]
        goals += [env.step(np.zeros((1, 2, 4))).obs[0, :, 36:39] for _ in range(4)]
    np.testing.assert_array_equal(goals[0], goals[1])  # the same episode
    episodes = np.concatenate([goals[0], goals[2], goals[4]])
    assert (episodes != 0).all()
    assert len(np.unique(episodes, axis=0)) == 6
