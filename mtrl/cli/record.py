"""`mtrl record RUN [--seed K] [--episodes N] [--out DIR] [--size PX] [--camera NAME] [--minari]`."""

import argparse
import os
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from mtrl import agents, envs
from mtrl.agents import shipped
from mtrl.agents.config import Config
from mtrl.cli.one_line_parser import OneLineParser
from mtrl.cli.progress import Progress
from mtrl.cli.replays import shoot_all, write_data
from mtrl.cli.screen import Screen, print_plain, warn
from mtrl.cli.tracking import track_films
from mtrl.envs.metaworld import graphics
from mtrl.envs.metaworld.graphics import CAMERAS
from mtrl.extras import install
from mtrl.runs.errors import UserError, in_section
from mtrl.runs.files import replacing
from mtrl.runs.folder import load_config
from mtrl.runs.reading import seed_folder

if TYPE_CHECKING:  # imports mujoco, which must not happen before MUJOCO_GL is chosen
    from mtrl.envs.metaworld.recorded_episode import Episode

_SMALLEST, _LARGEST = 16, 2048
_SHEET = "contact_sheet.png"


def run(words: list[str]) -> int:
    """Write an MP4 for each task and episode of a run's newest checkpoint, and a page of stills of all; or the data."""
    arguments = _parse(words)
    _check_installed(arguments.minari)
    folder = seed_folder(shipped.at_hand(arguments.run), arguments.seed)
    _check_config(folder, arguments.episodes)
    if not arguments.minari:
        os.environ["MUJOCO_GL"] = _graphics()  # for the processes that draw
    console = Screen()
    started = time.monotonic()
    with Progress(Screen(stderr=True), f"play {folder.name}") as progress:

        def on_progress(share: float) -> None:
            progress.update({"kind": "progress", "share": share, "wall_s": time.monotonic() - started})

        recording = agents.record_episodes(
            folder, episodes=arguments.episodes, device=arguments.device, on_progress=on_progress
        )
    default = folder / ("minari" if arguments.minari else "videos") / f"step_{recording.step}"
    out = arguments.out or default
    episodes = _episodes(recording, out)
    what = f"checkpoint of step {recording.step:,}, goals of seed {recording.goal_seed}"
    if arguments.minari:
        write_data(console, episodes, out, f"{folder.parent.name}/{folder.name}, {what}")
        return 0
    _check_new([*(episode.path for episode in episodes), out / _SHEET])
    out.mkdir(parents=True, exist_ok=True)
    films = shoot_all(episodes, arguments.camera, arguments.size)

    from mtrl.envs.metaworld.contact_sheet import contact_sheet_png, outcome

    with replacing(out / _SHEET) as file:
        file.write(contact_sheet_png(films, f"{folder}, {what}"))
    for film, episode in zip(films, episodes, strict=True):
        print_plain(console, f"{episode.path}: {outcome(film)}, return {film.total_reward:,.0f}")
    print_plain(console, str(out / _SHEET))
    _track(folder, recording.step, episodes)
    return 0


def _parse(words: list[str]) -> argparse.Namespace:
    parser = OneLineParser(
        "mtrl record", "Film the newest checkpoint's deterministic policy: an MP4 per task and a page of stills."
    )
    parser.add_argument("run", type=Path, metavar="RUN", help=shipped.RUN)
    parser.add_argument("--seed", type=int, metavar="K", help="of a folder of seeds; the first by default")
    parser.add_argument(
        "--episodes", type=int, default=1, metavar="N", help="per task, with goals 0 to N-1 of the run's; default 1"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="where to write; videos/step_<n> in the seed's folder by default"
    )
    parser.add_argument(
        "--minari", action="store_true", help="data sets of Minari, one a task, in place of films; in minari/step_<n>"
    )
    parser.add_argument("--size", type=int, default=480, metavar="PX", help="of a side, an even number; default 480")
    parser.add_argument("--camera", default=CAMERAS[0], metavar="NAME", help=f"{', '.join(CAMERAS)}; the first")
    parser.add_argument("--device", default="auto", help="of the policy: cpu, cuda, cuda:1 or auto (the default)")
    arguments: argparse.Namespace = parser.parse_args(words)
    if arguments.episodes < 1:
        raise UserError(f"--episodes must be at least 1, got {arguments.episodes}")
    if arguments.size % 2 or not _SMALLEST <= arguments.size <= _LARGEST:
        raise UserError(f"--size must be an even number from {_SMALLEST} to {_LARGEST}, got {arguments.size}")
    if arguments.camera not in CAMERAS:
        raise UserError(f"--camera must be one of {', '.join(CAMERAS)}, got {arguments.camera}")
    return arguments


def _check_installed(for_minari: bool) -> None:
    """Say it now, not after the episodes were played."""
    if for_minari:
        if missing := [name for name in ("minari", "h5py") if find_spec(name) is None]:
            raise ModuleNotFoundError(f"mtrl record --minari needs {missing[0]}: {install('minari')}", name=missing[0])
        return
    if find_spec("imageio_ffmpeg") is None:
        raise ModuleNotFoundError(f"mtrl record needs imageio-ffmpeg: {install('video')}", name="imageio_ffmpeg")
    import imageio_ffmpeg

    try:
        imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError as error:
        raise UserError("mtrl record needs the system package ffmpeg: imageio-ffmpeg brings none here") from error


def _graphics() -> str:
    try:
        return graphics.choose()
    except graphics.GraphicsError as error:
        raise UserError(str(error)) from error


def _check_config(folder: Path, episodes: int) -> None:
    section = load_config(folder, Config).env
    with in_section("env"):
        foreign = [task for task in envs.task_names(section.tasks) if not envs.is_metaworld(task)]
    if foreign:
        raise UserError(f"mtrl record draws Meta-World's tasks, {foreign[0]} is none")
    if episodes > section.num_goals:
        raise UserError(f"--episodes must be at most {section.num_goals}, the run's goals of a task, got {episodes}")


def _episodes(recording: agents.Recording, out: Path) -> "list[Episode]":
    from mtrl.envs.metaworld.recorded_episode import Episode

    return [
        Episode(
            task,
            goal,
            recording.goals[t][goal],
            recording.reward_version,
            recording.actions[t, goal],
            recording.last_obs[t, goal],
            out / f"{task}_goal_{goal:02}.mp4",
        )
        for t, task in enumerate(recording.tasks)
        for goal in range(recording.actions.shape[1])
    ]


def _track(folder: Path, step: int, episodes: "Sequence[Episode]") -> None:
    """Show the films where the run is tracked, too; that this cannot be is a warning, for they are written."""
    try:
        films = {episode.path.stem: episode.path for episode in episodes}
        track_films(load_config(folder, Config), folder, step, films)
    except UserError as error:
        warn(f"the films are not tracked: {error}")


def _check_new(paths: Sequence[Path]) -> None:
    for path in paths:
        if path.exists():
            raise UserError(f"{path} exists: --out chooses another folder")
