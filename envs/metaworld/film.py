"""One recorded episode as an MP4 file.

Runs in a process of its own, whose MUJOCO_GL is set, and so imports neither torch nor the command.
"""

from pathlib import Path
from typing import Literal, NamedTuple

import imageio_ffmpeg
import numpy as np

from mtrl.envs.metaworld.graphics import STEPS_PER_S
from mtrl.envs.metaworld.rendering import replay, stock_environment

_NOTHING = 1e-6  # between an observation and its replay, m


class Episode(NamedTuple):
    """What was done, and where its film goes."""

    task: str
    goal_index: int
    goal: np.ndarray
    """Goal vector, `[3 or 6]`."""
    reward_version: Literal["v2", "v1"]
    actions: np.ndarray
    """`[H, 4]` float32."""
    last_obs: np.ndarray
    """`[39 or more]`: what the last action saw."""
    path: Path


class Film(NamedTuple):
    """What the film shows."""

    task: str
    goal_index: int
    stills: list[tuple[int, np.ndarray]]
    """Steps and pictures, `[size, size, 3]` uint8, from the first step to the last."""
    first_success: int | None
    """The step of the first success; the first step is 1."""
    success_final: bool
    total_reward: float


def shoot(episode: Episode, camera: str, size: int, num_stills: int) -> Film:
    """Replay an episode and write its film, a frame per step at the simulated speed.

    The file is complete or not there at all.

    Raises:
        RuntimeError: the replay is not the recorded episode.
    """
    steps = len(episode.actions)
    still_steps = _still_steps(steps, num_stills)
    stills: list[tuple[int, np.ndarray]] = []
    successes: list[bool] = []
    total = 0.0
    partial = episode.path.with_name(episode.path.name + ".partial")
    writer = imageio_ffmpeg.write_frames(
        str(partial), (size, size), fps=STEPS_PER_S, codec="libx264", macro_block_size=2, output_params=["-f", "mp4"]
    )
    try:
        writer.send(None)
        env = stock_environment(episode.task, episode.goal, episode.reward_version)
        shots = replay(env, episode.actions, camera=camera, size=size)
        for step, shot in enumerate(shots, 1):
            writer.send(shot.picture)
            if step in still_steps:
                stills.append((step, shot.picture))
            if step == steps - 1:
                _check_same(episode, shot.obs)
            successes.append(shot.success)
            total += shot.reward
        writer.close()
        partial.replace(episode.path)
    finally:
        writer.close()
        partial.unlink(missing_ok=True)
    first = successes.index(True) + 1 if any(successes) else None
    return Film(episode.task, episode.goal_index, stills, first, successes[-1], total)


def _still_steps(steps: int, count: int) -> frozenset[int]:
    """Denser at the beginning, where most happens: solved tasks are solved early."""
    return frozenset((1 + (steps - 1) * np.linspace(0, 1, count) ** 2).round().astype(int).tolist())


def _check_same(episode: Episode, obs: np.ndarray) -> None:
    """Hand and objects are where the recorded policy saw them; goal and one-hot may have been hidden or added."""
    difference = np.abs(obs[:18] - episode.last_obs[:18]).max()
    if difference > _NOTHING:
        raise RuntimeError(
            f"the replay of {episode.task}, goal {episode.goal_index}, is another episode: "
            f"observations differ by {difference:.1e}"
        )
