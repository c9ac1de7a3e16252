"""`mtrl train CONFIG`: train and evaluate every seed, then report all seeds of the run."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import torch
from rich.console import Console

from mtrl.agents.config import Config
from mtrl.agents.groups import Layout, layout, train_and_evaluate
from mtrl.agents.run_precision import settle_precision
from mtrl.agents.training import check
from mtrl.cli.audience import Audience, End, label
from mtrl.cli.group_process import GroupProcesses
from mtrl.cli.progress import Progress
from mtrl.cli.seeds import Outcome, train_seeds
from mtrl.cores import available_cores
from mtrl.runs import devices
from mtrl.runs.errors import UserError
from mtrl.runs.stop_signals import stop_signals

_DOES = "Train an agent for every seed, evaluate it, and report all seeds of the run."


def run(words: list[str]) -> int:
    """Run the command; 130 if it was interrupted, and then how to resume is printed."""
    return train_seeds("train", _DOES, "mt10/quick", Config, words, _train)


def _train(config: Config, folders: Mapping[int, Path], resume: bool, console: Console) -> Outcome:
    """Train and evaluate all seeds."""
    device = check(config, folders, resume)
    how = layout(config, device, available_cores(), devices.available_memory())
    with Progress(console, label(config, config.seeds), config.steps) as progress:
        progress.waiting, progress.at_once = len(how.groups), how.at_once
        with Audience(config, folders, progress) as audience:
            if how.at_once > 1:
                _train_in_processes(config, folders, resume, how, audience, device)
            else:
                _train_here(config, folders, resume, how, audience)
        return Outcome(audience.interrupted, tuple(audience.failures))


def _train_in_processes(
    config: Config, folders: Mapping[int, Path], resume: bool, how: Layout, audience: Audience, device: torch.device
) -> None:
    """Train several groups at once, each in a process of its own, that have the same of what the machine decides."""
    threads = config.training.threads or 1
    audience.note(f"{how.at_once} processes at once, with {threads} thread{'s' if threads > 1 else ''} each")
    with devices.threads(threads):
        config, line = settle_precision(config, folders, device)
    if line:
        audience.note(line)
    with stop_signals() as stop:
        GroupProcesses(config, folders, resume, how, audience).run(stop)


def _train_here(config: Config, folders: Mapping[int, Path], resume: bool, how: Layout, audience: Audience) -> None:
    """Train one group after the other in this process; of several, those after one that fails go on."""
    for seeds in how.groups:
        audience.begin(seeds)
        try:
            finished = train_and_evaluate(
                config,
                {seed: folders[seed] for seed in seeds},
                resume,
                how.cores,
                partial(audience.tell, seeds),
            )
        except UserError as error:
            if len(how.groups) == 1:
                raise
            audience.ended(seeds, End(finished=False, failure=str(error)))
            continue
        audience.ended(seeds, End(finished))
        if not finished:
            break
