"""The thin driver equals stock metaworld, bit for bit."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import mujoco
import numpy as np
import pytest
from metaworld.env_dict import ALL_V3_ENVIRONMENTS
from metaworld.policies import ENV_POLICY_MAP
from metaworld.sawyer_xyz_env import SawyerXYZEnv
from metaworld.utils import reward_utils
from scipy.spatial.transform import Rotation

from mtrl.envs.goals import benchmark_goals
from mtrl.envs.metaworld.episode_start import visible_goal
from mtrl.envs.metaworld.quaternion import quaternion
from mtrl.envs.metaworld.simulators import OneByOne, make_simulators
from mtrl.envs.metaworld.thin import THIN_TASKS, Group, ThinSimulators
from mtrl.envs.metaworld.thin.tolerance import gaussian, hamacher, long_tail
from mtrl.envs.tasks import task_names

pytestmark = pytest.mark.filterwarnings("error:invalid value", "error:divide by zero", "error:overflow")

MT10 = task_names("MT10")
GOALS = dict(zip(MT10, benchmark_goals(MT10, seed=0), strict=True))

POSITIONS = ("xpos", "site_xpos", "geom_xpos")
SINGLE = {"push-v3", "pick-place-v3", "peg-insert-side-v3", "drawer-close-v3"}
"""Tasks whose rewards metaworld sometimes has in single precision."""


class Pair:
    """Thin environments of a task, and a stock one beside each; every step compares them."""

    def __init__(self, task: str, count: int) -> None:
        self.task, self.count = task, count
        self.thin = ThinSimulators([Group(task, GOALS[task], count)])
        self.stock: list[SawyerXYZEnv] = [ALL_V3_ENVIRONMENTS[task]() for _ in range(count)]
        self.single = 0
        """Rewards so far that metaworld gave in single precision."""

    def reset(self, goals: list[int]) -> None:
        """Compares the first observations too."""
        self.obs = []
        for env, goal in zip(self.stock, goals, strict=True):
            env.set_task(visible_goal(type(env), GOALS[self.task][goal]))
            self.obs.append(env.reset()[0])
        np.testing.assert_array_equal(self.thin.reset(np.array(goals)), self.obs)

    def step(self, actions: np.ndarray) -> np.ndarray:
        """Successes `[n]`, after comparing."""
        obs, reward, success = self.thin.step(actions)
        for number, env in enumerate(self.stock):
            self.obs[number], expected, _, _, info = env.step(actions[number])
            np.testing.assert_array_equal(obs[number], self.obs[number])
            assert reward[number] == expected
            assert success[number] == bool(info["success"])
            self.single += isinstance(expected, np.float32)
        return success

    def place(self, position: np.ndarray) -> None:
        """Put the object, or the peg, of environment 0 here."""
        self.stock[0]._set_obj_xyz(position)
        model, everything = self.stock[0].model, mujoco.mjtState.mjSTATE_INTEGRATION
        state = np.empty(mujoco.mj_stateSize(model, everything))
        mujoco.mj_getState(model, self.stock[0].data, state, everything)
        mujoco.mj_setState(model, self.thin.physics[0][1], state, everything)


def _scripted(task: str, observations: list[np.ndarray], steps: int, noise: np.ndarray) -> Iterator[np.ndarray]:
    """Actions `[n, 4]`: the scripted policy's with noise of this scale `[n]`; infinity for random ones alone.

    In one step of five the gripper closes half, which decides between single and double precision.
    """
    policy, draw = ENV_POLICY_MAP[task](), np.random.default_rng(7)
    for number in range(steps):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # policies ask for more than the action range
            wanted = np.stack([policy.get_action(obs) for obs in observations])
        random = draw.uniform(-1, 1, wanted.shape)
        actions = np.array(
            [r if np.isinf(scale) else w + scale * r for w, r, scale in zip(wanted, random, noise, strict=True)]
        )
        if number % 5 == 4:
            actions[:, 3] = draw.uniform(0, 1.2, len(actions))
        yield actions.astype(np.float32)


@pytest.mark.parametrize("task", MT10)
def test_equals_stock_over_an_episode_and_a_reset(task: str) -> None:
    """Three goals at once: random actions; the scripted policy with and without noise, which succeeds."""
    pair, noise = Pair(task, 3), np.array([np.inf, 0.3, 0.0])
    succeeded = np.zeros(3, dtype=bool)
    for goals, steps in (([4, 17, 30], 500), ([30, 4, 8], 15)):
        pair.reset(goals)
        for actions in _scripted(task, pair.obs, steps, noise):
            succeeded |= pair.step(actions)
    assert succeeded[1:].any()


@pytest.mark.slow
@pytest.mark.parametrize("task", MT10)
def test_equals_stock_for_every_goal(task: str) -> None:
    """Fifty goals, 500 steps each."""
    pair, noise = Pair(task, 5), np.array([np.inf, 1.0, 0.3, 0.1, 0.0])
    for first in range(0, 50, 5):
        pair.reset(list(range(first, first + 5)))
        for actions in _scripted(task, pair.obs, 500, noise):
            pair.step(actions)


@pytest.mark.parametrize("task", ["push-v3", "pick-place-v3", "peg-insert-side-v3"])
def test_equals_stock_with_the_object_in_the_gripper(task: str) -> None:
    """Held, lifted, half gripped, near the goal: branches that episodes seldom take."""
    pair, draw = Pair(task, 1), np.random.default_rng(3)
    pair.reset([0])
    for number in range(300):
        env = pair.stock[0]
        near, goal = env.tcp_center, env._target_pos + draw.normal(scale=0.06, size=3)
        if number > 40 and number % 3 == 0:
            pair.place((near if number % 2 else goal) - env._get_pos_objects() + env.data.qpos[9:12])
        shift = draw.normal(scale=0.1, size=3) - [0, 0, 1.0 if number < 150 else -0.2]  # down, then slowly up
        pair.step(np.append(shift, draw.uniform(-0.2, 1.2))[None].astype(np.float32))
    assert pair.single > 5


def test_peg_in_the_collision_boxes_equals_stock() -> None:
    pair, draw = Pair("peg-insert-side-v3", 1), np.random.default_rng(3)
    pair.reset([2])
    env = pair.stock[0]
    inside = 0
    for _ in range(300):
        box = draw.integers(1, 3)
        corners = [env._get_site_pos(f"{side}_corner_collision_box_{box}") for side in ("bottom_right", "top_left")]
        head = draw.uniform(np.min(corners, axis=0), np.max(corners, axis=0))
        pair.place(head - env._get_site_pos("pegHead") + env.data.qpos[9:12])
        pair.step(np.append(np.zeros(3), draw.uniform(-0.2, 1.2))[None].astype(np.float32))
        at = env._get_site_pos("pegHead")
        inside += bool((np.min(corners, axis=0) <= at).all() and (at <= np.max(corners, axis=0)).all())
    assert inside > 20


@pytest.mark.parametrize("task", MT10)
def test_rewards_of_made_up_positions_equal_stock(task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without physics, which seldom gets everywhere: bodies and sites are thrown about one of their places."""
    pair, draw = Pair(task, 1), np.random.default_rng(11)
    pair.reset([3])
    pair.step(np.zeros((1, 4), dtype=np.float32))  # rotations stay as they are then
    env, datas = pair.stock[0], (pair.stock[0].data, pair.thin.physics[0][1])
    for name in ("mj_step", "mj_forward", "mj_rnePostConstraint"):
        monkeypatch.setattr(mujoco, name, lambda *_, **__: None)
    low, high = env.model.body("leftpad").id, env.model.body("rightpad").id
    succeeded = 0
    for _ in range(450):  # of the 500 steps that metaworld allows
        centre = [env._target_pos, env.init_tcp, np.asarray(env.obj_init_pos)][draw.integers(3)]
        spread = 10 ** draw.uniform(-3.5, -0.7)
        arrays = {field: draw.normal(centre, spread, getattr(datas[0], field).shape) for field in POSITIONS}
        arrays["xpos"] -= THIN_TASKS[task].object_offset
        arrays["xpos"][[low, high], 1] = centre[1] + draw.uniform(0.005, 0.04, 2) * [1, -1]
        arrays["qpos"] = draw.normal(-0.7, 0.7, env.model.nq)
        for data in datas:
            for field, values in arrays.items():
                getattr(data, field)[:] = values
        action = np.append(draw.uniform(-1, 1, 3), draw.uniform(-0.2, 1.2))
        succeeded += int(pair.step(action[None].astype(np.float32))[0])
    assert 0 < succeeded < 450
    assert (pair.single > 5) == (task in SINGLE)


def test_far_from_a_drawer_that_was_near_reward_is_zero_as_in_stock() -> None:
    """The margin of drawer-close's Gaussian is 9 mm for a goal at which the hand begins at the handle."""
    goals = np.array([[0.004, 0.9, 0.0]])
    thin, env = ThinSimulators([Group("drawer-close-v3", goals, 1)]), ALL_V3_ENVIRONMENTS["drawer-close-v3"]()
    env.set_task(visible_goal(type(env), goals[0]))
    env.reset()
    thin.reset(np.array([0]))
    action = np.array([[1.0, -1.0, 1.0, -1.0]], dtype=np.float32)
    for _ in range(60):
        _, reward, _ = thin.step(action)
        _, expected, _, _, _ = env.step(action[0])
        assert reward[0] == expected
    assert expected == 0.0


@pytest.mark.parametrize("task", ["reach-v3", "drawer-open-v3"])
def test_an_unstable_state_is_reset_as_in_stock(task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MuJoCo then resets its data, the hand's goal too, and both go on from there."""
    monkeypatch.chdir(tmp_path)  # it also writes a log
    pair, draw = Pair(task, 2), np.random.default_rng(0)
    pair.reset([0, 1])
    for number in range(40):
        if number == 10:
            pair.stock[0].data.qvel[0] = pair.thin.physics[0][1].qvel[0] = 1e12
        pair.step(draw.uniform(-1, 1, (2, 4)).astype(np.float32))
    assert pair.stock[0].data.time < pair.stock[1].data.time


@pytest.mark.parametrize("task", MT10)
def test_environments_do_not_touch_each_other(task: str) -> None:
    """They share a model, with each one's goal put in before its step."""
    draw = np.random.default_rng(0)
    actions = draw.uniform(-1, 1, (20, 4, 4)).astype(np.float32)
    together, alone = ThinSimulators([Group(task, GOALS[task], 4)]), ThinSimulators([Group(task, GOALS[task], 1)])
    np.testing.assert_array_equal(together.reset(np.array([3, 1, 2, 9]))[2], alone.reset(np.array([2]))[0])
    for action in actions:
        for of_four, of_one in zip(together.step(action), alone.step(action[2:3]), strict=True):
            np.testing.assert_array_equal(of_four[2], of_one[0])


def test_results_are_the_callers_own() -> None:
    thin = ThinSimulators([Group("push-v3", GOALS["push-v3"], 2)])
    first = thin.reset(np.array([0, 1]))
    kept = first.copy()
    obs, reward, _ = thin.step(np.ones((2, 4), dtype=np.float32))
    obs_kept, reward_kept = obs.copy(), reward.copy()
    thin.step(-np.ones((2, 4), dtype=np.float32))
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(obs, obs_kept)
    np.testing.assert_array_equal(reward, reward_kept)


def test_knows_the_tasks_of_mt10() -> None:
    assert set(THIN_TASKS) == set(MT10)


def test_is_chosen_for_several_environments_of_its_tasks_with_the_v2_reward() -> None:
    several, one = Group("reach-v3", GOALS["reach-v3"], 2), Group("push-v3", GOALS["push-v3"], 1)
    doors, foreign = Group("door-open-v3", GOALS["door-open-v3"], 2), Group("soccer-v3", GOALS["push-v3"], 2)
    made = make_simulators([one, several, foreign, doors], "v2")
    assert [(numbers, type(simulators).__name__) for numbers, simulators in made] == [
        ([1, 3], "ThinSimulators"),
        ([0], "OneByOne"),
        ([2], "OneByOne"),
    ]
    (_, old), *_ = make_simulators([several], "v1")
    assert type(old).__name__ == "OneByOne"


def test_several_tasks_together_equal_each_of_them_alone() -> None:
    """All ten, with one to three environments: other models, numbers of points and of distances."""
    counts = [1 + number % 3 for number in range(len(MT10))]
    groups = [Group(task, GOALS[task], count) for task, count in zip(MT10, counts, strict=True)]
    together, alone = ThinSimulators(groups), [ThinSimulators([group]) for group in groups]
    parts, draw = np.cumsum(counts)[:-1], np.random.default_rng(2)
    for _ in range(2):
        goals = draw.integers(50, size=sum(counts))
        first = np.split(together.reset(goals), parts)
        for simulators, obs, own in zip(alone, first, np.split(goals, parts), strict=True):
            np.testing.assert_array_equal(obs, simulators.reset(own))
        for actions in draw.uniform(-1, 1, (30, sum(counts), 4)).astype(np.float32):
            steps = zip(*(np.split(array, parts) for array in together.step(actions)), strict=True)
            for simulators, step, own in zip(alone, steps, np.split(actions, parts), strict=True):
                for ours, theirs in zip(step, simulators.step(own), strict=True):
                    np.testing.assert_array_equal(ours, theirs)


def test_one_environment_equals_the_same_one_by_one() -> None:
    several = ThinSimulators([Group("reach-v3", GOALS["reach-v3"], 2)])
    one = OneByOne("reach-v3", GOALS["reach-v3"], 1, "v2")
    goals, actions = np.array([5, 6]), np.full((2, 4), 0.3, dtype=np.float32)
    np.testing.assert_array_equal(several.reset(goals)[:1], one.reset(goals[:1]))
    for together, alone in zip(several.step(actions), one.step(actions[:1]), strict=True):
        np.testing.assert_array_equal(together[:1], alone)


@pytest.mark.parametrize(("ours", "sigmoid"), [(long_tail, "long_tail"), (gaussian, "gaussian")])
def test_tolerance_equals_metaworlds(ours, sigmoid: str) -> None:  # type: ignore[no-untyped-def]
    draw = np.random.default_rng(0)
    x, margin = draw.uniform(-1, 1, 5000), draw.uniform(0.01, 1, 5000)
    x[:3] = 0.05, 0.2, np.nextafter(0.2, 1)  # both bounds, and just outside
    expected = [reward_utils.tolerance(a, (0.05, 0.2), b, sigmoid) for a, b in zip(x, margin, strict=True)]
    np.testing.assert_array_equal(ours(np.maximum(0.05 - x, x - 0.2), margin), expected)


def test_hamacher_product_equals_metaworlds_in_either_precision() -> None:
    a, b = np.random.default_rng(0).uniform(0, 1, (2, 2000))
    a[:3], b[:3] = (0, 0, 1), (0, 1, 1)
    expected = [reward_utils.hamacher_product(*pair) for pair in zip(a.tolist(), b.tolist(), strict=True)]
    np.testing.assert_array_equal(hamacher(a, b), expected)
    single = b.astype(np.float32)
    expected = [reward_utils.hamacher_product(*pair) for pair in zip(a.tolist(), single, strict=True)]
    np.testing.assert_array_equal(hamacher(a.astype(np.float32), single), expected)


def test_quaternion_equals_scipys() -> None:
    draw, matrices = np.random.default_rng(0), np.zeros((4000, 9))
    for number, matrix in enumerate(matrices):
        wxyz = draw.normal(size=4)
        wxyz[draw.integers(4)] *= 30 if number % 2 else 0  # close to a turn about one axis; about two axes
        mujoco.mju_quat2Mat(matrix, wxyz / np.linalg.norm(wxyz))
    ours = [quaternion(matrix.tolist()) for matrix in matrices]
    np.testing.assert_array_equal(ours, Rotation.from_matrix(matrices.reshape(-1, 3, 3)).as_quat())
