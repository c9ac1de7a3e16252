"""Which seeds of a run train together in one process, how many such processes there are at once, and what one does."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from mtrl import envs
from mtrl.agents.config import Config
from mtrl.agents.environments import shown_horizon
from mtrl.agents.final_evaluation import evaluate
from mtrl.agents.ranks import ALONE, Ranks
from mtrl.agents.replay import kept_numbers, whole_numbers
from mtrl.agents.training import seeds_per_process, train
from mtrl.protocols import EVALUATION_FILES, LEGACY, MODERN
from mtrl.runs.errors import UserError
from mtrl.runs.events import Event, Listener
from mtrl.runs.reading import read_evaluation_record

Seeds = tuple[int, ...]

_PROCESS_BYTES = 2**30  # measured with quick.yaml: 0.85 GB while it compiles, and 0.18 GB of its simulators


class Grouping(NamedTuple):
    """How the seeds of a run are trained."""

    groups: tuple[Seeds, ...]
    """The seeds of a process, side by side as one more axis; one group after the other as processes end."""
    at_once: int
    """Processes; one means that the command's own does it."""
    cores: int | None
    """Of each process; None if all are the one's."""


def grouping(config: Config, device: torch.device, cores: int, memory: int | None = None) -> Grouping:
    """Processes of one learning thread each while cores and memory last, on a CPU; all side by side in one on a GPU.

    `training.seeds_at_once` decides where it is set: groups of that many in one process, one group after the other.

    Args:
        config: of the run.
        device: of the learner.
        cores: that there are.
        memory: that there is, bytes; None if that is not known.
    """
    seeds, size = config.seeds, seeds_per_process(config, device, len(config.seeds))
    groups = tuple(seeds[i : i + size] for i in range(0, len(seeds), size))
    if device.type != "cpu" or config.training.seeds_at_once or len(seeds) == 1:
        return Grouping(groups, 1, None)
    fitting = len(seeds) if memory is None else memory // needed_memory(config)
    at_once = max(1, min(len(seeds), cores // max(1, config.training.threads), fitting))
    return Grouping(groups, at_once, cores // at_once)


def needed_memory(config: Config) -> int:
    """Bytes that a process of one seed takes, about: its replay, and a checkpoint of it while that is written."""
    num_tasks, sizes = len(envs.task_names(config.env.tasks)), envs.sizes(config.env.tasks, config.env.one_hot)
    rows = num_tasks * min(config.training.replay_capacity_per_task, config.steps // num_tasks)
    return _PROCESS_BYTES + rows * 4 * (kept_numbers(*sizes) + whole_numbers(*sizes))


def train_and_evaluate(
    config: Config,
    folders: Mapping[int, Path],
    resume: bool,
    cores: int | None,
    tell: Listener,
    ranks: Ranks = ALONE,
) -> bool:
    """Train and evaluate a group.

    Args:
        config: of the run.
        folders: by seed.
        resume: go on with what is there.
        cores: see `mtrl.agents.train`.
        tell: told of all events of `mtrl.agents.train`, those of `mtrl.agents.evaluate` with the seed, and of
            `{"kind": "result", "record": ...}` for each new evaluation.
        ranks: that train together; this one, which leads, evaluates.

    Returns:
        Whether it is finished; else it was interrupted, and checkpoints are written.

    Raises:
        UserError: as `mtrl.agents.train`.
    """
    result = train(config, folders, resume=resume, cores=cores, on_event=tell, ranks=ranks)
    if result.interrupted:
        return False
    due = [seed for seed, folder in folders.items() if not _is_evaluated(folder, config, result.step)]
    for index, seed in enumerate(due):
        others = len(due) - 1 - index

        def on_event(event: Event, seed: int = seed, others: int = others) -> None:
            if others and event["kind"] == "progress" and event["left_s"] is not None:
                left_s = event["left_s"] + others * event["wall_s"] / event["share"]
                event = {**event, "left_s": left_s}
            tell(event, seed)

        record = evaluate(folders[seed], device=config.device, cores=cores or 0, on_event=on_event)
        tell({"kind": "result", "record": record}, seed)
    return True


def _is_evaluated(folder: Path, config: Config, step: int) -> bool:
    """Whether there is a whole evaluation of this step, with the episodes and the horizon asked for."""
    if config.evaluation.protocol == LEGACY:
        return False  # it is read off the log, in no time
    try:
        record = read_evaluation_record(folder / EVALUATION_FILES[MODERN])
        return bool(record["checkpoint"]["step"] == step and is_as_asked(record["protocol"], config))
    except (UserError, KeyError):
        return False


def is_as_asked(protocol: Mapping[str, Any], config: Config) -> bool:
    """Whether an evaluation's protocol has the episodes and the horizon that a configuration asks for."""
    horizon = shown_horizon(envs.task_infos(config.env.tasks), config.evaluation.horizon)
    return (protocol["episodes"], protocol["horizon"]) == (config.evaluation.episodes, horizon)
