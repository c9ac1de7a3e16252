"""The ranks of a trial: this process leads, and the others are processes that it starts and that end with it."""

import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.context import SpawnProcess
from pathlib import Path

import torch

from mtrl.agents.config import Config
from mtrl.agents.ranks import ALONE, Ranks, joined
from mtrl.agents.training import train
from mtrl.runs.child_process import GRACE_S, end, follow_parent, start_child
from mtrl.runs.errors import UserError


@contextmanager
def started(config: Config, folders: Mapping[int, Path], size: int, cores: int) -> Iterator[Ranks]:
    """The ranks that train a run, or go on with it.

    Args:
        config: of the run.
        folders: by seed.
        size: how many; one is this process alone.
        cores: of each.
    """
    if size == 1:
        yield ALONE
        return
    with tempfile.TemporaryDirectory() as folder:
        meeting = f"file://{folder}/ranks"
        others: list[SpawnProcess] = []
        grace_s = 0.0
        try:
            for number in range(1, size):
                rank = Ranks(number, size, number, size)
                others.append(start_child(_follow, rank, meeting, config, folders, cores))
            with joined(Ranks(0, size, 0, size), meeting) as ranks:
                yield ranks
            grace_s = GRACE_S
        finally:
            for other in others:
                end(other, grace_s)


def _follow(ranks: Ranks, meeting: str, config: Config, folders: Mapping[int, Path], cores: int) -> None:
    follow_parent()
    torch.set_num_threads(1)
    try:
        with joined(ranks, meeting):
            train(config, folders, resume=True, cores=cores, ranks=ranks)
    except UserError as error:
        sys.exit(f"rank {ranks.number}: {error}")
