"""One recorded episode as an MP4 file.

Runs in a process of its own, whose MUJOCO_GL is set, and so imports neither torch nor the command.
"""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

import imageio_ffmpeg
import numpy as np

from mtrl.envs.metaworld.graphics import STEPS_PER_S
from mtrl.envs.metaworld.recorded_episode import Episode, check_same
from mtrl.envs.metaworld.rendering import replay, stock_environment


class FilmError(RuntimeError):
    """ffmpeg could not write a film; its text is one line."""


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
        FilmError: it could not be written, as where the disk is full.
        RuntimeError: the replay is not the recorded episode.
    """
    steps = len(episode.actions)
    still_steps = _still_steps(steps, num_stills)
    stills: list[tuple[int, np.ndarray]] = []
    successes: list[bool] = []
    total = 0.0
    partial = episode.path.with_name(episode.path.name + ".partial")
    try:
        with _encoder(partial, episode.path, size) as pictures:
            env = stock_environment(episode.task, episode.goal, episode.reward_version)
            shots = replay(env, episode.actions, camera=camera, size=size)
            for step, shot in enumerate(shots, 1):
                pictures.write(shot.picture.tobytes())
                if step in still_steps:
                    stills.append((step, shot.picture))
                if step == steps - 1:
                    check_same(episode, shot.obs)
                successes.append(shot.success)
                total += shot.reward
        partial.replace(episode.path)
    finally:
        partial.unlink(missing_ok=True)
    first = successes.index(True) + 1 if any(successes) else None
    return Film(episode.task, episode.goal_index, stills, first, successes[-1], total)


@contextmanager
def _encoder(file: Path, path: Path, size: int) -> Iterator[IO[bytes]]:
    """Takes pictures, `[size, size, 3]` uint8 each, and makes a film of them, which is whole at the end.

    Args:
        file: that is written.
        path: as it will be called, for the message.
        size: of the pictures.

    Raises:
        FilmError: ffmpeg could not write it.
    """
    taken = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{size}x{size}", "-r", str(STEPS_PER_S), "-i", "-"]
    made = ["-vcodec", "libx264", "-pix_fmt", "yuv420p", "-crf", "25", "-f", "mp4", str(file)]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-v", "error", "-xerror", *taken, *made]
    # A process group of its own: Ctrl-C is for this process, which ends it.
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, process_group=0) as ffmpeg:
        assert ffmpeg.stdin is not None
        try:
            yield ffmpeg.stdin
        except BrokenPipeError:
            pass  # ffmpeg has ended, and says why
        except BaseException:
            ffmpeg.kill()
            ffmpeg.communicate()
            raise
        told = ffmpeg.communicate()[1].decode(errors="replace")
    if ffmpeg.returncode:
        first, *_ = told.splitlines() or [f"it ended with {ffmpeg.returncode}"]
        reason = re.sub(r"^(\[[^]]*\] *)*", "", first)  # without its own name for the part that says it
        raise FilmError(f"{path} cannot be written: ffmpeg: {reason}")


def _still_steps(steps: int, count: int) -> frozenset[int]:
    """Denser at the beginning, where most happens: solved tasks are solved early."""
    return frozenset((1 + (steps - 1) * np.linspace(0, 1, count) ** 2).round().astype(int).tolist())
