"""Pictures: upright, not mirrored, the goal in them, and no trace of them in the simulation."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mtrl import envs
from mtrl.envs.goals import benchmark_goals
from mtrl.envs.metaworld import graphics
from mtrl.envs.metaworld.graphics import CAMERAS, STEPS_PER_S

SIZE = 96
CORNERS = [name for name in CAMERAS if name.startswith("corner")]  # the hand hides the ball from behindGripper
# Drawing needs a process in which mujoco was not imported yet.
SCRIPT = f"""
import sys
import numpy as np
from mtrl.envs.goals import benchmark_goals
from mtrl.envs.metaworld.rendering import Pictures, replay, stock_environment

found = {{}}
goal = benchmark_goals(["reach-v3"], 0)[0][0]
env = stock_environment("reach-v3", goal)
found["step_s"] = env.dt
for camera in {CAMERAS!r}:
    pictures = Pictures(env, camera, {SIZE})
    found[camera] = pictures.take()
    found[camera + " position"] = env.data.cam(camera).xpos
    middle = np.array([0.0, 0.7, 0.3])
    forward = (middle - env.data.cam(camera).xpos) * [1, 1, 0]
    right = np.cross(forward / np.linalg.norm(forward), [0, 0, 1])
    moves = {{"away": [9, 9, 9], "middle": [0, 0, 0], "up": [0, 0, 0.12], "right": 0.12 * right}}
    for name, move in moves.items():
        env._target_pos = middle + move
        found[f"{{camera}} {{name}}"] = pictures.take()
    env._target_pos = goal[3:]
    pictures.close()
actions = np.random.default_rng(0).uniform(-1, 1, (8, 4)).astype(np.float32)
push = stock_environment("push-v3", benchmark_goals(["reach-v3", "push-v3"], 5)[1][2])
shots = list(replay(push, actions, camera="corner", size=16))
found["obs"] = np.stack([shot.obs for shot in shots])
found["reward"] = np.stack([shot.reward for shot in shots])
found["shots"] = np.stack([shot.picture for shot in shots])
np.savez(sys.argv[1], **found)
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """What SCRIPT drew, by name."""
    try:
        name = graphics.choose()
    except graphics.GraphicsError as error:
        pytest.skip(str(error))
    path = tmp_path_factory.mktemp("pictures") / "found.npz"
    environment = os.environ | {"MUJOCO_GL": name, "PYTHONPATH": str(Path(envs.__file__).parents[1])}
    subprocess.run([sys.executable, "-c", SCRIPT, str(path)], check=True, env=environment, timeout=120)
    with np.load(path) as file:
        return dict(file)


@pytest.mark.parametrize("camera", CAMERAS)
def test_a_picture_shows_something(found: dict[str, np.ndarray], camera: str) -> None:
    picture = found[camera]
    assert picture.shape == (SIZE, SIZE, 3)
    assert picture.dtype == np.uint8
    assert picture.mean() > 30
    assert picture.std() > 10


@pytest.mark.parametrize("camera", CORNERS)
def test_upright_and_not_mirrored(found: dict[str, np.ndarray], camera: str) -> None:
    """The goal's ball goes up where it is raised in the world, and right where it is moved right."""

    def place(name: str) -> np.ndarray:
        changed = (found[f"{camera} {name}"] != found[f"{camera} away"]).any(-1)
        assert changed.any(), "the ball is not in the picture"
        return np.argwhere(changed).mean(0)

    row, column = place("middle")
    assert place("up")[0] < row - 3
    assert abs(place("up")[1] - column) < 3
    assert place("right")[1] > column + 3


@pytest.mark.parametrize("camera", CORNERS)
def test_the_goal_is_green_and_in_the_ring(found: dict[str, np.ndarray], camera: str) -> None:
    picture = found[camera + " up"]
    red, green, blue = np.moveaxis(picture.astype(int), -1, 0)
    ring = (picture == (0, 255, 0)).all(-1)
    ball = (green > 1.5 * red) & (green > 1.5 * blue) & ~ring
    assert ring.sum() >= 8
    assert ball.any()
    np.testing.assert_allclose(np.argwhere(ball).mean(0), np.argwhere(ring).mean(0), atol=1.0)


def test_a_replay_is_the_episode(found: dict[str, np.ndarray]) -> None:
    """Goal 2 of the second task, seed 5; taking pictures changes nothing."""
    actions = np.random.default_rng(0).uniform(-1, 1, (8, 4)).astype(np.float32)
    with envs.make(["reach-v3", "push-v3"], num_envs_per_task=3, seed=5, goal_order="cycle", num_workers=1) as env:
        env.reset()
        steps = [env.step(np.tile(action, (2, 3, 1))) for action in actions]
    np.testing.assert_array_equal(found["obs"], [step.next_obs[1, 2] for step in steps])
    np.testing.assert_allclose(found["reward"], [step.reward[1, 2] for step in steps], rtol=0, atol=1e-12)
    assert (found["shots"][0] != found["shots"][-1]).any()
    goal = benchmark_goals(["reach-v3", "push-v3"], 5)[1][2]
    np.testing.assert_allclose(found["obs"][0, 36:38], goal[3:5], atol=1e-12)


def test_the_speed_is_the_simulated_one(found: dict[str, np.ndarray]) -> None:
    assert 1 / found["step_s"] == pytest.approx(STEPS_PER_S)


def test_an_unknown_camera() -> None:
    from mtrl.envs.metaworld.rendering import Pictures

    with pytest.raises(ValueError, match=r"camera must be one of .*, got 'front'"):
        Pictures(None, "front")


@pytest.fixture
def nothing_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphics, "_TRY", "raise ImportError('no such library')")
    monkeypatch.delenv("MUJOCO_GL", raising=False)


@pytest.mark.usefixtures("nothing_draws")
def test_what_to_install_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(graphics.GraphicsError) as caught:
        graphics.choose()
    assert str(caught.value) == (
        "drawing without a screen needs the system packages libegl1 and libgl1-mesa-dri (egl), or libosmesa6 (osmesa) "
        "(egl: ImportError: no such library; osmesa: ImportError: no such library)"
    )
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    with pytest.raises(graphics.GraphicsError, match=r"^MUJOCO_GL=osmesa does not draw here: install libosmesa6"):
        graphics.choose()


def test_osmesa_where_egl_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    monkeypatch.setattr(graphics, "_TRY", "import os; assert os.environ['MUJOCO_GL'] == 'osmesa'")
    assert graphics.choose() == "osmesa"
