"""Registered Gymnasium environments as tasks, beside Gymnasium's own way to run them."""

import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from mtrl import envs
from mtrl.envs.registered.backend import reset_seed
from mtrl.envs.registered.point_goal import GOALS
from mtrl.envs.registered.registry import success_of
from tests.envs.options_of import options_of
from tests.envs.points import optimal_return
from tests.envs.registered_tasks import CustomReach

TASKS = ["CustomReach-v0", "CustomPush-v0"]
SHAPE = (2, 3)
Actions = Callable[[envs.VectorEnv, int], np.ndarray]


@pytest.fixture
def env() -> Iterator[envs.VectorEnv]:
    with envs.make(TASKS, num_envs_per_task=3, horizon=20, seed=4, num_workers=2) as made:
        yield made


def _run(env: envs.VectorEnv, actions: np.ndarray) -> list[envs.Step]:
    return [env.step(action) for action in actions]


def test_every_environment_equals_gymnasiums_own(env: envs.VectorEnv, random_actions: Actions) -> None:
    """Through terminations, limits of their own and the horizon, all at different steps."""
    actions = random_actions(env, 120)
    first = env.reset()
    steps = _run(env, actions)
    ends = set()
    for t, e in np.ndindex(SHAPE):
        stock = gymnasium.make(TASKS[t])
        low, high = stock.action_space.low.astype(float), stock.action_space.high.astype(float)
        episode, length, total, any_success = 0, 0, 0.0, False
        obs, _ = stock.reset(seed=reset_seed(options_of(env), t, e, episode))
        np.testing.assert_array_equal(first[t, e], obs)
        for number, step in enumerate(steps):
            action = (low + (actions[number, t, e].astype(float) + 1) / 2 * (high - low)).astype(np.float32)
            obs, reward, terminated, truncated, info = stock.step(action)
            success = info["success" if t == 0 else "is_success"]
            length, total, any_success = length + 1, total + float(reward), any_success or success
            truncated = truncated or length == 20
            np.testing.assert_array_equal(step.next_obs[t, e], obs)
            assert (step.reward[t, e], step.success[t, e]) == (reward, success)
            assert (step.terminated[t, e], step.truncated[t, e]) == (terminated, truncated)
            assert step.episode_length[t, e] == length
            assert step.episode_return[t, e] == total
            assert step.episode_success[t, e] == any_success
            if terminated or truncated:
                ends.add((t, terminated, truncated, length))
                episode, length, total, any_success = episode + 1, 0, 0.0, False
                obs, _ = stock.reset(seed=reset_seed(options_of(env), t, e, episode))
            np.testing.assert_array_equal(step.obs[t, e], obs)
    kinds = {(t, terminated, truncated) for t, terminated, truncated, _ in ends}
    assert {(0, True, False), (0, False, True), (1, False, True)} <= kinds  # the test saw what it is about
    assert {7, 20} < {length for *_, length in ends}


@pytest.mark.parametrize("steps", [4, 31])
def test_resume_is_exact(random_actions: Actions, steps: int) -> None:
    made: dict[str, Any] = {"num_envs_per_task": 3, "horizon": 20, "seed": 4}
    with envs.make(TASKS, **made) as straight:
        actions = random_actions(straight, 80)
        straight.reset()
        before = _run(straight, actions[:steps])
        assert steps < 10 or len(np.unique(before[-1].episode_length)) > 2  # episodes stand at different steps
        state = straight.state_dict()
        expected = _run(straight, actions[steps:])
    with envs.make(TASKS, num_workers=1, **made) as resumed:
        np.testing.assert_array_equal(resumed.load_state_dict(state), before[-1].obs)
        for one, other in zip(_run(resumed, actions[steps:]), expected, strict=True):
            for name, a, b in zip(envs.Step._fields, one, other, strict=True):
                np.testing.assert_array_equal(a, b, err_msg=name)


@pytest.mark.parametrize("entry", ["obs", "return"])
def test_replay_that_does_not_arrive_is_told(entry: str, env: envs.VectorEnv, random_actions: Actions) -> None:
    env.reset()
    _run(env, random_actions(env, 5))
    state = env.state_dict()
    with warnings.catch_warnings(action="error"):
        env.load_state_dict(state)
    state[entry][1, 0] += 1e-9
    with pytest.warns(UserWarning, match="the replayed episodes of CustomPush-v0 differ from the saved ones"):
        env.load_state_dict(state)


def test_seeds() -> None:
    def starts(num_envs: int, episodes: int, **made: Any) -> np.ndarray:
        """First observations of episodes, `[T, E, episodes, O]`."""
        with envs.make(["CustomPush-v0", "CustomReach-v0"], num_envs_per_task=num_envs, horizon=1, **made) as env:
            shown = [env.reset()] + [env.step(np.zeros((2, num_envs, 2))).obs for _ in range(episodes - 1)]
        return np.stack(shown, axis=2)

    drawn = starts(2, 4, seed=0)
    np.testing.assert_array_equal(drawn, starts(2, 4, seed=0))
    np.testing.assert_array_equal(drawn, starts(3, 4, seed=0)[:, :2])
    assert len(np.unique(drawn.reshape(-1, 3), axis=0)) == 16
    for other in (starts(2, 4, seed=1), starts(2, 4, seed=0, goal_seed=1), starts(2, 4, seed=0, goal_order="cycle")):
        assert (drawn != other).any(-1).all()
    listed = starts(1, 6, goal_order="cycle")[:, 0]
    np.testing.assert_array_equal(listed, starts(3, 2, goal_order="cycle").swapaxes(1, 2).reshape(2, 6, 3))


def test_what_does_not_fit_is_one_line() -> None:
    for tasks, change, message in (
        (["CartPole-v1"], {}, "one-dimensional Box actions, got Discrete"),
        (["CustomReach-v9"], {}, "unknown task 'CustomReach-v9'"),
        (["no.such.module:CustomReach-v0"], {}, "tasks: 'no.such.module:CustomReach-v0': there is no module no$"),
        (
            ["tests.envs.registered_tasks:CustomRech-v0"],
            {},
            "unknown task .*; the closest is 'tests.envs.registered_tasks:CustomReach-v0'",
        ),
        (TASKS, {"backend": "envpool"}, "simulates Meta-World alone: leave it out for 'CustomReach-v0'"),
        (
            [{"id": "CustomReach-v0", "kwargs": {"max_episode_steps": True}}],
            {},
            "^tasks: CustomReach-v0: max_episode_steps must be a whole number above 0, got True$",
        ),
        (TASKS, {"num_goals": 1}, "num_goals is Meta-World's: .* must be 50, got 1"),
        (TASKS, {"goals_visible": False}, "goals_visible is Meta-World's"),
        (TASKS, {"reward_version": "v1"}, "reward_version is Meta-World's"),
    ):
        with pytest.raises(ValueError, match=message) as error:
            envs.make(tasks, **change)
        assert "\n" not in str(error.value)


class OldReset(CustomReach):
    def reset(self, **given: Any) -> Any:
        return super().reset(**given)[0]


class Short(CustomReach):
    def reset(self, **given: Any) -> Any:
        return super().reset(**given)[0][:1], {}


class ShortLater(CustomReach):
    def step(self, action: np.ndarray) -> Any:
        return super().step(action)[0][:1], 0.0, False, False, {}


class OldStep(CustomReach):
    def step(self, action: np.ndarray) -> Any:
        return super().step(action)[1:]


class Unsure(CustomReach):
    def step(self, action: np.ndarray) -> Any:
        return *super().step(action)[:4], {"success": np.nan}


class Spelled(CustomReach):
    def step(self, action: np.ndarray) -> Any:
        return *super().step(action)[:4], {"success": "False"}


class Whole(CustomReach):
    action_space = gymnasium.spaces.Box(0, 3, (2,), np.int64)


class Lacking(CustomReach):
    def __init__(self) -> None:
        raise ModuleNotFoundError("no\nbox")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (OldReset, r"tasks: Own-v0 cannot be stepped: reset must give \(observation, info\), got ndarray"),
        (Short, r"cannot be stepped: observations must have the shape \(3,\) of their space, got \(1,\)"),
        (ShortLater, r"cannot be stepped: observations must have the shape \(3,\) of their space, got \(1,\)"),
        (OldStep, "tasks: Own-v0 cannot be stepped: not enough values to unpack"),
        (Unsure, "cannot be stepped: info must tell success as a truth value or a finite number, got nan"),
        (Spelled, "info must tell success as a truth value or a finite number, got 'False'"),
        (Whole, r"tasks must have real-valued actions, got Box\(0, 3, \(2,\), int64\) for Own-v0"),
        (Lacking, "tasks: Own-v0 cannot be made: no box$"),
    ],
)
def test_an_environment_that_breaks_the_rules_is_one_line(
    kind: type[CustomReach], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(gymnasium.registry, "Own-v0", None)  # which takes it out again
    del gymnasium.registry["Own-v0"]
    gymnasium.register("Own-v0", kind, max_episode_steps=5)
    with pytest.raises(ValueError, match=message) as error:
        envs.make(["Own-v0"])
    assert "\n" not in str(error.value)


def test_success_may_be_told_by_either_name_and_as_a_number() -> None:
    told: list[dict[str, Any]] = [
        {},
        {"success": None, "is_success": True},
        {"success": np.float32(0)},
        {"success": np.array([1])},
    ]
    assert [success_of(info) for info in told] == [None, True, False, True]


def test_every_environment_is_closed(tmp_path: Path) -> None:
    with envs.make([{"id": "Leaving-v0", "kwargs": {"path": str(tmp_path / "log")}}], num_envs_per_task=3) as env:
        env.reset()
        before = (tmp_path / "log").read_text().count("closed")
    assert (tmp_path / "log").read_text().count("closed") == before + 3


def test_arguments_beside_those_registered_as_arrays() -> None:
    gymnasium.register("Pulled-v0", CustomReach, max_episode_steps=5, kwargs={"pull": np.array([0.1, 0.2, 0.3])})
    for pull in (0.1, 0.2):
        with envs.make([{"id": "Pulled-v0", "kwargs": {"pull": pull}}]) as env:
            assert env.reset().shape == (1, 1, 3)
    del gymnasium.registry["Pulled-v0"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import gymnasium", "there is no module own_tasks_here; PYTHONPATH=. finds it in this folder"),
        ("raise OSError('no screen')", "own_tasks_here cannot be imported: OSError: no screen"),
    ],
)
def test_a_module_of_ones_own_that_is_not_found_or_fails(
    text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own_tasks_here.py").write_text(text)
    if "raise" in text:
        monkeypatch.syspath_prepend(tmp_path)
    for tasks in ("own_tasks_here:A-v0", ["own_tasks_here:A-v0"]):
        with pytest.raises(ValueError, match=f"tasks: 'own_tasks_here:A-v0': {message}$"):
            envs.make(tasks)


def test_failure_names_its_task(env: envs.VectorEnv) -> None:
    env.reset()
    actions = np.zeros((*SHAPE, 2))
    actions[0, 1] = 1.0
    line = r"^CustomReach-v0 raised ZeroDivisionError: asked for the corner \(registered_tasks.py, line \d+\)"
    with pytest.raises(envs.TaskError, match=line) as error:
        env.step(actions)
    first, *frames, last = error.value.__notes__[0].splitlines()
    assert first == "Traceback (most recent call last):"
    assert last == "ZeroDivisionError: asked for the corner"
    assert next(line.rsplit("/", 1)[-1] for line in frames if "File" in line).startswith('registered_tasks.py"')
    with pytest.raises(RuntimeError, match="after close"):
        env.reset()


def test_options_and_label(env: envs.VectorEnv) -> None:
    assert env.simulator.backend == "gymnasium"
    assert env.simulator.versions["gymnasium"] == gymnasium.__version__
    assert "own resets" in env.simulator.goals
    with envs.make(TASKS, one_hot=True, horizon=1000) as shown:
        assert shown.observation_size == 5 == envs.sizes(TASKS, one_hot=True).observation
        np.testing.assert_array_equal(shown.reset()[:, 0, 3:], np.eye(2))


def test_module_prefix_registers() -> None:
    code = (
        f"import sys; sys.path[:] = {sys.path!r}; from mtrl import envs\n"
        "with envs.make(['tests.envs.registered_tasks:CustomReach-v0']) as env: print(env.reset().shape)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(1, 1, 3)"


def test_environment_defined_in_a_script() -> None:
    code = f"import sys; sys.path[:] = {sys.path!r}" + (
        """
import gymnasium; from mtrl import envs
from tests.envs.registered_tasks import CustomReach
class Mine(CustomReach):
    pass
gymnasium.register("Mine-v0", Mine, max_episode_steps=5)
with envs.make(["Mine-v0"]) as env:
    print(env.reset().shape)
"""
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(1, 1, 3)"


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_points_conflict_and_their_optimum_is_known(noise: float) -> None:
    """The closed form is what the optimal policy gets, and what others fall short of."""
    generator = np.random.default_rng(0)
    with envs.make("Points", num_envs_per_task=4, horizon=20) as env:
        goals = np.array([GOALS[task] for task in env.tasks])[:, None]
        np.testing.assert_array_equal(goals.sum(axis=0), 0.0)
        obs = start = env.reset()
        for _ in range(20):
            step = env.step((goals - obs) / 0.2 + noise * generator.normal(size=obs.shape))
            obs = step.next_obs
    best = np.array([[optimal_return(t, s) for s in row] for t, row in zip(env.tasks, start, strict=True)])
    assert step.done.all()
    if noise:
        assert (step.episode_return < best - 0.1).all()
    else:
        np.testing.assert_allclose(step.episode_return, best, rtol=1e-6)
        assert step.success.all()


@pytest.mark.filterwarnings("ignore::UserWarning")  # it recommends other boxes
def test_gymnasiums_own_checker_accepts_the_points() -> None:
    from gymnasium.utils.env_checker import check_env

    check_env(gymnasium.make("PointEast-v0").unwrapped, skip_render_check=True)
    check_env(CustomReach(), skip_render_check=True)
