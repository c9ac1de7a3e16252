"""`mtrl train CONFIG`: train and evaluate every seed, then report all seeds of the run."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import torch
from rich.console import Console

from mtrl.agents.config import Config
from mtrl.agents.groups import Grouping, grouping, train_and_evaluate
from mtrl.agents.ranks import Ranks, launched
from mtrl.agents.run_precision import settle_precision
from mtrl.agents.training import check, train
from mtrl.cli.arguments import parse_arguments
from mtrl.cli.audience import Audience, End, label
from mtrl.cli.group_process import GroupProcesses
from mtrl.cli.progress import Progress
from mtrl.cli.seeds import Outcome, train_seeds
from mtrl.cores import available_cores
from mtrl.runs import devices
from mtrl.runs.errors import UserError
from mtrl.runs.stop_signals import stop_signals

_EXAMPLE = "mt10/quick"
_DOES = "Train an agent for every seed, evaluate it, and report all seeds of the run."


def run(words: list[str]) -> int:
    """Run the command; 130 if it was interrupted, and then how to resume is printed.

    Started by `torchrun`, it is one of several ranks that train the run together.
    """
    with launched() as ranks:
        if ranks.leads:
            return train_seeds("train", _DOES, _EXAMPLE, Config, words, partial(_train, ranks))
        return _follow(ranks, words)


def _follow(ranks: Ranks, words: list[str]) -> int:
    """Train on a rank that does not lead, without a word."""
    if {"-h", "--help"} & set(words):
        return 0
    arguments = parse_arguments(words, Config, _EXAMPLE)
    if not arguments.print_config:
        try:
            train(arguments.config, arguments.config.folders, resume=arguments.resume, ranks=ranks)
        except UserError as error:
            raise UserError(f"rank {ranks.number}: {error}") from error
    return 0


def _train(ranks: Ranks, config: Config, folders: Mapping[int, Path], resume: bool, console: Console) -> Outcome:
    """Train and evaluate all seeds."""
    device = check(config, folders, resume, ranks)
    if ranks.size > 1:
        how = Grouping((config.seeds,), 1, None)
    else:
        how = grouping(config, device, available_cores(), devices.available_memory())
    with Progress(console, label(config, config.seeds), config.steps) as progress:
        progress.waiting, progress.at_once = len(how.groups), how.at_once
        with Audience(config, folders, progress) as audience:
            if how.at_once > 1:
                _train_in_processes(config, folders, resume, how, audience, device)
            else:
                if ranks.size > 1:
                    audience.note(f"{ranks.size} ranks, each with some of the tasks")
                _train_here(config, folders, resume, how, audience, ranks)
        return Outcome(audience.interrupted, tuple(audience.failures))


def _train_in_processes(
    config: Config, folders: Mapping[int, Path], resume: bool, how: Grouping, audience: Audience, device: torch.device
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


def _train_here(
    config: Config, folders: Mapping[int, Path], resume: bool, how: Grouping, audience: Audience, ranks: Ranks
) -> None:
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
                ranks,
            )
        except UserError as error:
            if len(how.groups) == 1:
                raise
            audience.ended(seeds, End(finished=False, failure=str(error)))
            continue
        audience.ended(seeds, End(finished))
        if not finished:
            break
