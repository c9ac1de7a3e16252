"""One recorded episode as an MP4 file.

Runs in a process of its own, whose MUJOCO_GL is set, and so imports neither torch nor the command.
"""

from typing import NamedTuple

import imageio_ffmpeg
import numpy as np

from mtrl.envs.metaworld.graphics import STEPS_PER_S
from mtrl.envs.metaworld.recorded_episode import Episode, check_same
from mtrl.envs.metaworld.rendering import replay, stock_environment


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
                check_same(episode, shot.obs)
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
