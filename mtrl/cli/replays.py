"""What `mtrl record` makes of episodes, in several processes: films, or data sets of Minari (`--minari`)."""

import contextlib
import multiprocessing
import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from rich.console import Console

from mtrl.cli.progress import Progress
from mtrl.cli.screen import Screen, print_plain
from mtrl.cores import available_cores
from mtrl.runs.child_process import follow_parent
from mtrl.runs.errors import UserError

if TYPE_CHECKING:  # imports mujoco, which must not happen before MUJOCO_GL is chosen
    from mtrl.envs.metaworld.film import Film
    from mtrl.envs.metaworld.recorded_episode import Episode

T = TypeVar("T")
_STILLS = 7


def shoot_all(episodes: "list[Episode]", camera: str, size: int) -> "list[Film]":
    """All films, in the order of the episodes; where one cannot be made, none is left.

    Raises:
        UserError: one could not be written.
    """
    from mtrl.envs.metaworld.film import FilmError, shoot

    try:
        return _run_all("film", shoot, [(episode, camera, size, _STILLS) for episode in episodes])
    except Exception as error:
        for episode in episodes:
            episode.path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            episodes[0].path.parent.rmdir()  # if there is nothing else in it
        if isinstance(error, FilmError):
            raise UserError(str(error)) from error
        raise


def write_data(console: Console, episodes: "list[Episode]", out: Path, title: str) -> None:
    """A data set of each task, in a folder that is complete or not there at all."""
    from mtrl.envs.metaworld.minari_data import name_of, write_dataset

    if out.exists():
        raise UserError(f"{out} exists: --out chooses another folder")
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    of_tasks: dict[str, list[Episode]] = {}
    for episode in episodes:
        of_tasks.setdefault(episode.task, []).append(episode)
    try:
        returns = _run_all("write", write_dataset, [(own, partial.resolve(), title) for own in of_tasks.values()])
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    for (task, own), mean in zip(of_tasks.items(), returns, strict=True):
        print_plain(console, f"{name_of(task)}: {len(own)} episode{'s' * (len(own) > 1)}, mean return {mean:,.0f}")
    print_plain(console, f"MINARI_DATASETS_PATH={out}")


def _run_all(what: str, function: Callable[..., T], arguments: Sequence[tuple[Any, ...]]) -> list[T]:
    """A function of each of these arguments, several at a time, with its progress; its results in their order."""
    # Fresh processes: none has torch's threads, and a graphics library is loaded once in each.
    pool = ProcessPoolExecutor(
        min(available_cores(), len(arguments)), multiprocessing.get_context("spawn"), follow_parent
    )
    started = time.monotonic()
    try:
        with Progress(Screen(stderr=True), what) as progress:
            waiting = [pool.submit(function, *each) for each in arguments]
            for done, future in enumerate(as_completed(waiting), 1):
                future.result()
                share = done / len(waiting)
                progress.update({"kind": "progress", "share": share, "wall_s": time.monotonic() - started})
            return [future.result() for future in waiting]
    finally:
        pool.shutdown(cancel_futures=True)
