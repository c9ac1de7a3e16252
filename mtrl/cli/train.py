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
    try:
        finished = all(_train_seed(config, seed, folder, arguments.resume, console) for seed, folder in folders.items())
    except KeyboardInterrupt:
        finished = False
    if not finished:
        again = shlex.join(["mtrl", "train", *(word for word in words if word != "--resume"), "--resume"])
        print_plain(console, f"Interrupted. To go on: {again}")
        return _INTERRUPTED
    show_report(console, write_report([root], root / "report", warn))
    print_plain(console, f"Runs:   {root}")
    return 0


def _train_seed(config: Config, seed: int, folder: Path, resume: bool, console: Console) -> bool:
    """Train and evaluate one seed; False if it was interrupted."""
    with ExitStack() as stack:
        tracker = stack.enter_context(Tracker(config, seed, folder)) if config.track else None

        def on_event(event: dict[str, Any]) -> None:
            progress.update(event)
            if tracker:
                tracker.update(event)

        with Progress(console, f"{config.name}/seed_{seed}", config.steps) as progress:
            result = agents.train(config, seed, folder, resume=resume, on_event=on_event)
        if result.interrupted:
            return False
        if not _is_evaluated(folder, config, result.step):
            with Progress(console, f"{config.name}/seed_{seed} evaluation") as progress:
                record = agents.evaluate(folder, device=config.device, on_event=progress.update)
            if tracker:
                tracker.finish(record)
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
    try:
        record: Mapping[str, Any] = json.loads((folder / "evaluation.json").read_text())
        protocol = record["protocol"]
        wanted = (step, config.evaluation.episodes, config.evaluation.horizon)
        return (record["checkpoint"]["step"], protocol["episodes"], protocol["horizon"]) == wanted
    except (OSError, ValueError, KeyError, TypeError):
        return False
