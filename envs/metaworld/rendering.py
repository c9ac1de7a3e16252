"""Pictures of stock Meta-World without a screen.

mujoco reads MUJOCO_GL when it is imported: set it to what `graphics.choose` found before importing this module, best in
a process of its own. An episode is drawn by replaying its actions: resets do not depend on what was before and MuJoCo
is deterministic, so the replay is the episode, whichever backend simulated it.
"""

from collections.abc import Iterator
from contextlib import closing
from typing import NamedTuple

import mujoco
import numpy as np
from metaworld.env_dict import ALL_V3_ENVIRONMENTS
from metaworld.sawyer_xyz_env import SawyerXYZEnv

from mtrl.envs.metaworld.graphics import CAMERAS
from mtrl.envs.metaworld.internals.episode_start import visible_goal

_GOAL_RADIUS_M = 0.022  # a little more than the goal sites that some models have
_GOAL_COLOUR = np.array([0.1, 0.9, 0.1, 0.6], dtype=np.float32)
_RING_COLOUR = (0, 255, 0)
_RING_RADIUS, _RING_WIDTH = 0.03, 0.004  # of the picture's side


class Shot(NamedTuple):
    """The state after a step."""

    picture: np.ndarray
    """`[size, size, 3]` uint8, upright."""
    obs: np.ndarray
    """`[39]`: the successor of the step."""
    reward: float
    """Meta-World's reward of the step."""
    success: bool
    """Meta-World's success of this very step."""


class Pictures:
    """Takes pictures of an environment; does not change what it simulates."""

    def __init__(self, env: SawyerXYZEnv, camera: str = "corner4", size: int = 480) -> None:
        """Prepare `size` x `size` pixels from one of `graphics.CAMERAS`. Raises ValueError for another camera."""
        if camera not in CAMERAS:
            raise ValueError(f"camera must be one of {list(CAMERAS)}, got {camera!r}")
        self._env, self._camera = env, camera
        visual = env.model.vis
        visual.global_.offwidth = visual.global_.offheight = size
        visual.quality.offsamples = 4
        self._renderer = mujoco.Renderer(env.model, size, size)
        # Shadows and reflections take four fifths of the time where the processor draws.
        for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
            self._renderer.scene.flags[flag] = False

    def take(self) -> np.ndarray:
        """What the camera sees, with a green ball and a ring at the goal; `[size, size, 3]` uint8."""
        self._renderer.update_scene(self._env.data, camera=self._camera)
        self._mark_goal()
        picture = self._renderer.render()
        self._ring_goal(picture)
        # The models' corner cameras hang upside down.
        return np.ascontiguousarray(picture[::-1, ::-1] if self._camera.startswith("corner") else picture)

    def close(self) -> None:
        """Give the graphics context back."""
        self._renderer.close()

    def _mark_goal(self) -> None:
        """Some models have no site at the goal, others a tiny one; a ball in the scene is not in the simulation."""
        scene = self._renderer.scene
        size = np.array([_GOAL_RADIUS_M, 0.0, 0.0])
        goal = np.asarray(self._env._target_pos, dtype=np.float64)
        ball = scene.geoms[scene.ngeom]
        mujoco.mjv_initGeom(ball, mujoco.mjtGeom.mjGEOM_SPHERE, size, goal, np.eye(3).ravel(), _GOAL_COLOUR)
        scene.ngeom += 1

    def _ring_goal(self, picture: np.ndarray) -> None:
        """Many goals are inside a drawer, a button or a wall: the ring shows them through."""
        camera = self._env.data.cam(self._camera)
        # Camera frame: x right, y up in the picture as drawn, z backwards.
        x, y, z = camera.xmat.reshape(3, 3).T @ (self._env._target_pos - camera.xpos)
        if z >= 0:
            return
        size = len(picture)
        focal = 0.5 * size / np.tan(0.5 * np.radians(self._env.model.cam(self._camera).fovy[0]))
        column, row = 0.5 * size - focal * x / z, 0.5 * size + focal * y / z
        rows, columns = np.ogrid[:size, :size]
        distance = np.hypot(rows + 0.5 - row, columns + 0.5 - column)
        picture[np.abs(distance - _RING_RADIUS * size) < max(_RING_WIDTH * size, 0.5)] = _RING_COLOUR


def stock_environment(task: str, goal: np.ndarray, reward_version: str = "v2") -> SawyerXYZEnv:
    """Metaworld's own environment of a task for a goal vector (`mtrl.envs.goals.benchmark_goals`), reset."""
    env = ALL_V3_ENVIRONMENTS[task](reward_function_version=reward_version)
    env.set_task(visible_goal(goal))
    env.reset()
    return env


def replay(env: SawyerXYZEnv, actions: np.ndarray, *, camera: str, size: int) -> Iterator[Shot]:
    """The states after each step of an episode.

    Args:
        env: just reset (`stock_environment`).
        actions: `[steps, 4]` float32.
        camera: one of `graphics.CAMERAS`.
        size: pixels of a side.
    """
    with closing(Pictures(env, camera, size)) as pictures:
        for action in actions:
            obs, reward, _, _, info = env.step(action)
            yield Shot(pictures.take(), obs, float(reward), bool(info["success"]))
