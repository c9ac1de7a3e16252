"""The environments that a worker steps together, of any tasks.

Axes: n environments, O observation, A action.
"""

from collections.abc import Sequence
from typing import NamedTuple, final

import mujoco
import numpy as np

from mtrl.envs.interface import OBSERVATION_SIZE
from mtrl.envs.metaworld.internals.episode_start import EpisodeStart, capture, resetting_env
from mtrl.envs.metaworld.internals.light_env import LightEnv, SharedModel, light_env
from mtrl.envs.metaworld.internals.memory import forget_compilation, release_drawing_data

_FINGERS = np.array([1.0, -1.0])
"""Control of the two, per gripper effort."""


class Group(NamedTuple):
    """Which environments of a task a worker has."""

    task: str
    """The task's V3 name."""
    goals: np.ndarray
    """Goal vectors, `[num_goals, 3 or 6]`."""
    num_envs: int


@final
class _World:
    """What the environments of a task share.

    That is the model, and the starts of episodes, each of which one stock environment resets to once.
    """

    def __init__(self, group: Group, reward_version: str) -> None:
        self._goals = group.goals
        self._resetting = resetting_env(group.task, reward_version)
        forget_compilation()
        release_drawing_data(self._resetting.model)
        self._model = SharedModel(self._resetting.model)
        self._starts: dict[int, EpisodeStart] = {}
        self.envs = [light_env(group.task, self._model, reward_version) for _ in range(group.num_envs)]

    def start(self, goal: int) -> EpisodeStart:
        if goal not in self._starts:
            self._model.forget()  # the reset writes its goal there
            self._starts[goal] = capture(self._resetting, self._goals[goal])
        return self._starts[goal]


@final
class Simulators:
    """Environments of any tasks; those of a task stand side by side.

    Each equals `gymnasium.make("Meta-World/MT1", env_name=task)` bit for bit. The wrappers around that one
    change neither observation nor reward: they pick goals, keep statistics and truncate, all of which the
    parent does. What all environments do alike is done for all of them at once.
    """

    def __init__(self, groups: Sequence[Group], reward_version: str) -> None:
        worlds = [_World(group, reward_version) for group in groups]
        self._members: list[tuple[_World, LightEnv]] = [(world, env) for world in worlds for env in world.envs]
        self._envs = [env for _, env in self._members]
        self._reach = np.array([[env.action_scale] for env in self._envs], dtype=np.float32)
        self._low, self._high = (
            np.array([getattr(env, f"mocap_{end}") for env in self._envs]) for end in ("low", "high")
        )

    @property
    def physics(self) -> list[tuple[mujoco.MjModel, mujoco.MjData, int]]:
        """Each environment's simulation, and how many steps of MuJoCo are one of ours."""
        return [env.physics for env in self._envs]

    def reset(self, goals: np.ndarray) -> np.ndarray:
        """Begin an episode everywhere with these goals, `[n]` of their numbers; the first observations, `[n, O]`."""
        begun = zip(self._members, goals.tolist(), strict=True)
        return np.stack([env.begin(world.start(goal)) for (world, env), goal in begun])

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Take actions `[n, A]` float32; next observations `[n, O]`, rewards `[n]`, successes of this step `[n]`."""
        shift = np.minimum(np.maximum(actions[:, :3], -1), 1) * self._reach  # float32 until here, as in metaworld
        pull = np.array([env.mocap for env in self._envs]) + shift
        pull = np.minimum(np.maximum(pull, self._low), self._high)
        obs = np.empty((len(actions), OBSERVATION_SIZE))
        for env, *how in zip(self._envs, pull, actions[:, 3:] * _FINGERS, strict=True):
            env.simulate(*how)
        judged = zip(self._envs, actions, obs, strict=True)
        reward, success = zip(*[env.judge(action, own) for env, action, own in judged], strict=True)
        return obs, np.array(reward, dtype=float), np.array(success, dtype=bool)
