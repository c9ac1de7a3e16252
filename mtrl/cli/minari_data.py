"""Recorded episodes as data sets of Minari: `mtrl record RUN --minari`."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from mtrl.cli.run_all import run_all
from mtrl.cli.screen import print_plain
from mtrl.runs.errors import UserError

if TYPE_CHECKING:
    from mtrl.envs.metaworld.recorded_episode import Episode


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
    arguments = [(own, partial.resolve(), title) for own in of_tasks.values()]
    returns = run_all("write", write_dataset, arguments)
    partial.rename(out)
    for (task, own), mean in zip(of_tasks.items(), returns, strict=True):
        print_plain(console, f"{name_of(task)}: {len(own)} episode{'s' * (len(own) > 1)}, mean return {mean:,.0f}")
    print_plain(console, f"MINARI_DATASETS_PATH={out}")
