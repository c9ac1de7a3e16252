"""`mtrl train CONFIG.yaml`: train and evaluate every seed, then report all seeds of the run."""

import json
import shlex
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rich.console import Console

import agents
import envs
from agents.config import Config
from mtrl.cli.arguments import parse_arguments
from mtrl.cli.progress import Progress
from mtrl.cli.success import show_report, warn
from mtrl.cli.tables import print_plain
from mtrl.cli.tracking import Tracker
from mtrl.cli.train_help import train_help
from mtrl.protocols import EVALUATION_FILES, LEGACY, MODERN
from mtrl.report import write_report
from mtrl.runs.errors import UserError

_DOES = "Train an agent for every seed, evaluate it, and report all seeds of the run."
_INTERRUPTED = 130


def run(words: list[str]) -> int:
    """Run the command; 130 if it was interrupted, and then how to resume is printed."""
    if {"-h", "--help"} & set(words):
        print(train_help("mtrl train", _DOES, Config))
        return 0
    arguments = parse_arguments(words, Config, "configs/mt10/quick.yaml")
    config, console = arguments.config, Console()
    root = Path(config.out) / config.name
    folders = {seed: root / f"seed_{seed}" for seed in config.seeds}
    _check(config, folders.values(), arguments.resume)
    at_once = config.training.seeds_at_once or len(config.seeds)
    groups = [config.seeds[start : start + at_once] for start in range(0, len(config.seeds), at_once)]
    try:
        finished = all(
            _train_seeds(config, {seed: folders[seed] for seed in seeds}, arguments.resume, console) for seeds in groups
        )
    except KeyboardInterrupt:
        finished = False
    if not finished:
        again = shlex.join(["mtrl", "train", *(word for word in words if word != "--resume"), "--resume"])
        print_plain(console, f"Interrupted. To go on: {again}")
        return _INTERRUPTED
    show_report(console, write_report([root], root / "report", warn))
    print_plain(console, f"Runs:   {root}")
    return 0


def _train_seeds(config: Config, folders: Mapping[int, Path], resume: bool, console: Console) -> bool:
    """Train seeds side by side, then evaluate each; False if it was interrupted."""
    labels = {seed: f"{config.name}/seed_{seed}" for seed in folders}
    together = f"{config.name}/seeds {' '.join(map(str, folders))}" if len(folders) > 1 else next(iter(labels.values()))
    with ExitStack() as stack:
        trackers = {
            seed: stack.enter_context(Tracker(config, seed, folder)) for seed, folder in folders.items() if config.track
        }

        def on_event(event: dict[str, Any], seed: int | None) -> None:
            progress.update(event, together if seed is None else labels[seed])
            if seed is not None and seed in trackers:
                trackers[seed].update(event)

        with Progress(console, together, config.steps) as progress:
            result = agents.train(config, folders, resume=resume, on_event=on_event)
        if result.interrupted:
            return False
        for seed, folder in folders.items():
            if not _is_evaluated(folder, config, result.step):
                with Progress(console, f"{labels[seed]} evaluation") as progress:
                    record = agents.evaluate(folder, device=config.device, on_event=progress.update)
                if seed in trackers:
                    trackers[seed].finish(record)
    return True


def _check(config: Config, folders: Iterable[Path], resume: bool) -> None:
    """Find now what would fail later: the last seed's folder is checked before time is spent on the first."""
    try:
        envs.task_names(config.env.tasks)
    except ValueError as error:
        raise UserError(f"env.{error}") from error
    for folder in folders:
        if (folder / "config.yaml").exists() and not resume:
            raise UserError(f"run {folder} exists: --resume continues it, --name or --out make another")


def _is_evaluated(folder: Path, config: Config, step: int) -> bool:
    """Whether there is a whole evaluation of this step, with the episodes and the horizon asked for."""
    if config.evaluation.protocol == LEGACY:
        return False  # it is read off the log, in no time
    try:
        record: Mapping[str, Any] = json.loads((folder / EVALUATION_FILES[MODERN]).read_text())
        protocol = record["protocol"]
        wanted = (step, config.evaluation.episodes, config.evaluation.horizon)
        return (record["checkpoint"]["step"], protocol["episodes"], protocol["horizon"]) == wanted
    except (OSError, ValueError, KeyError, TypeError):
        return False
