"""Which seeds of a run train together in one process, and how many such processes there are at once."""

from typing import NamedTuple

import torch

from mtrl import envs
from mtrl.agents.config import Config
from mtrl.agents.training import seeds_per_process

Seeds = tuple[int, ...]

_PROCESS_BYTES = 2**30  # measured with quick.yaml: 0.85 GB while it compiles, and 0.18 GB of its simulators


class Layout(NamedTuple):
    """How the seeds of a run are trained."""

    groups: tuple[Seeds, ...]
    """The seeds of a process, side by side as one more axis; one group after the other as processes end."""
    at_once: int
    """Processes; one means that the command's own does it."""
    cores: int | None
    """Of each process; None if all are the one's."""


def layout(config: Config, device: torch.device, cores: int, memory: int | None = None) -> Layout:
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
        return Layout(groups, 1, None)
    fitting = len(seeds) if memory is None else memory // needed_memory(config)
    at_once = max(1, min(len(seeds), cores // max(1, config.training.threads), fitting))
    return Layout(groups, at_once, cores // at_once)


def needed_memory(config: Config) -> int:
    """Bytes that a process of one seed takes at most, about: its replay, twice while a checkpoint is written."""
    num_tasks, (observation, action) = (
        len(envs.task_names(config.env.tasks)),
        envs.sizes(config.env.tasks, config.env.one_hot),
    )
    rows = num_tasks * min(config.training.replay_capacity_per_task, config.steps // num_tasks)
    return _PROCESS_BYTES + 2 * rows * 4 * (2 * observation + action + 3)
