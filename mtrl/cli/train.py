"""`mtrl train CONFIG.yaml`: train and evaluate every seed, then report all seeds of the run."""

import json
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rich.console import Console

import agents
import envs
from agents.config import Config
from mtrl.cli.progress import Progress
from mtrl.cli.seeds import train_seeds
from mtrl.cli.tracking import Tracker
from mtrl.protocols import EVALUATION_FILES, LEGACY, MODERN
from mtrl.runs.errors import UserError

_DOES = "Train an agent for every seed, evaluate it, and report all seeds of the run."


def run(words: list[str]) -> int:
    """Run the command; 130 if it was interrupted, and then how to resume is printed."""
    return train_seeds("train", _DOES, "configs/mt10/quick.yaml", Config, words, _train)


def _train(config: Config, folders: Mapping[int, Path], resume: bool, console: Console) -> bool:
    """Train and evaluate all seeds, so many at once; False if it was interrupted."""
    try:
        envs.task_names(config.env.tasks)
    except ValueError as error:
        raise UserError(f"env.{error}") from error
    at_once = config.training.seeds_at_once or len(config.seeds)
    groups = [config.seeds[start : start + at_once] for start in range(0, len(config.seeds), at_once)]
    return all(_train_group(config, {seed: folders[seed] for seed in seeds}, resume, console) for seeds in groups)


def _train_group(config: Config, folders: Mapping[int, Path], resume: bool, console: Console) -> bool:
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
