"""The processes (ranks) that train one run together, each with the simulators, the replay and the batches of its tasks.

Networks, optimizers and methods are the same on all, and so are the seeds: what is drawn for all tasks is drawn whole
everywhere, and each rank takes the part of its own.

Axes: `S` replicas (one a seed), `T` tasks, `E` environments of each, `R` ranks, `C` entries of a part.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from mtrl import envs
from mtrl.cores import available_cores
from mtrl.runs import devices
from mtrl.runs.errors import UserError, shortened

TIMEOUT = timedelta(minutes=30)
"""More than a rank can be behind the others: while it writes a checkpoint, say, or compiles."""
_VARIABLES = "RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"


class RankError(UserError):
    """Another rank ended, or does not answer."""


@dataclass(frozen=True)
class Ranks:
    """What one rank says to the others. Each method is called by all of them, in the same order.

    With one rank nothing is sent, and what is given comes back.
    """

    number: int = 0
    """Of this rank; the one with 0 leads: it writes the run's folder, and shows how it goes."""
    size: int = 1
    """`R`"""
    local_number: int = 0
    """Of this rank among those of its machine."""
    neighbours: int = 1
    """Ranks on this machine, this one among them."""

    @property
    def leads(self) -> bool:
        """Whether this is the rank that writes."""
        return self.number == 0

    @property
    def cores(self) -> int:
        """This machine's cores for each of its ranks."""
        return max(1, available_cores() // self.neighbours)

    @property
    def peers(self) -> envs.Peers | None:
        """What environments are told of the other ranks; None if there are none."""
        return self if self.size > 1 else None

    def device(self, device: torch.device) -> torch.device:
        """The device of this rank: its own of several GPUs, where no number was asked for."""
        if self.size == 1 or device.type != "cuda" or device.index is not None:
            return device
        return torch.device("cuda", self.local_number)

    def own(self, num_tasks: int) -> slice:
        """This rank's tasks, of so many: neighbours; numbers differ by one at most."""
        return self._tasks(self.number, num_tasks)

    def own_part(self, whole: Tensor, num_tasks: int) -> Tensor:
        """This rank's tasks of a tensor `[T, ...]`.

        Raises:
            ValueError: it has another number of tasks.
        """
        if self.size > 1 and len(whole) != num_tasks:
            raise ValueError(f"needs {num_tasks} tasks, got {len(whole)}")
        return whole if self.size == 1 else whole[self.own(num_tasks)]

    def gather(self, own: Tensor, num_tasks: int) -> Tensor:
        """All ranks' tasks: `[S, own tasks, N]` to `[S, T, N]`."""
        if self.size == 1:
            return own
        most = len(range(num_tasks)[self._tasks(0, num_tasks)])
        padded = own.new_zeros(len(own), most, own.shape[-1])
        padded[:, : own.shape[1]] = own
        blocks = self.all(padded)
        return torch.cat([b[:, : self._count(rank, num_tasks)] for rank, b in enumerate(blocks)], 1)

    def exchange(self, gradients: Tensor, num_tasks: int) -> Tensor:
        """Trades whole gradients of own tasks for a part of all tasks': `[S, own tasks, R C]` to `[S, T, C]`."""
        if self.size == 1:
            return gradients
        replicas, tasks, length = gradients.shape
        part = length // self.size
        sent = gradients.unflatten(-1, (self.size, part)).permute(2, 0, 1, 3).contiguous()  # [R, S, own tasks, C]
        counts = [replicas * self._count(rank, num_tasks) * part for rank in range(self.size)]
        received = sent.new_empty(sum(counts))
        with _answers():
            dist.all_to_all_single(received, sent.view(-1), counts, [replicas * tasks * part] * self.size)
        return torch.cat([block.view(replicas, -1, part) for block in received.split(counts)], 1)

    def all(self, tensor: Tensor) -> Tensor:
        """Every rank's tensor, all of one shape, `[R, ...]`; the same everywhere."""
        if self.size == 1:
            return tensor[None]
        found = tensor.new_empty(self.size, *tensor.shape)
        with _answers():
            dist.all_gather([*found.unbind()], tensor.contiguous())
        return found

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum of every rank's tensor, which it may stand in; the same everywhere: a rank adds up each entry."""
        if self.size > 1:
            with _answers():
                dist.all_reduce(tensor)
        return tensor

    def to_leader(self, own: Tensor, num_tasks: int) -> Tensor:
        """All ranks' tasks on the rank that leads, `[own tasks, ...]` to `[T, ...]`; on the others their own."""
        if self.size == 1:
            return own
        own = own.cpu()  # where there is room for all
        with _answers():
            if not self.leads:
                dist.send(own.contiguous(), 0)
                return own
            whole = own.new_empty(num_tasks, *own.shape[1:])
            whole[self.own(num_tasks)] = own
            for rank in range(1, self.size):
                dist.recv(whole[self._tasks(rank, num_tasks)], rank)
        return whole

    def fill(self, rows: np.ndarray) -> None:
        """See `mtrl.envs.Peers`."""
        if self.size == 1 or not len(rows):
            return
        mine = self.own(len(rows))
        most = self._count(0, len(rows))
        message = np.zeros((most, *rows.shape[1:]), rows.dtype)
        message[: mine.stop - mine.start] = rows[mine]
        theirs = self.all(torch.from_numpy(message.view(np.uint8))).numpy().view(rows.dtype)
        for rank in range(self.size):
            if rank != self.number:
                rows[self._tasks(rank, len(rows))] = theirs[rank, : self._count(rank, len(rows))]

    def any(self, flag: bool) -> bool:
        """Whether the flag is set on some rank."""
        return flag if self.size == 1 else bool(self.all(torch.tensor([flag], dtype=torch.uint8)).any())

    def say(self, said: Any) -> list[Any]:
        """What each rank says, in the order of the ranks."""
        if self.size == 1:
            return [said]
        everyone: list[Any] = [None] * self.size
        with _answers():
            dist.all_gather_object(everyone, said)
        return everyone

    def check_number(self, number: int, place: Path) -> None:
        """Refuses a state of another number of ranks, which went on it would not be the run that it was.

        Raises:
            UserError: names the file or folder, and both numbers.
        """
        if number != self.size:
            raise UserError(f"{place} was written by {_processes(number)}: as many must go on, got {self.size}")

    def agree(self, what: str, said: Callable[[], Any]) -> None:
        """Refuses to go on where the ranks do not say the same; one rank alone is not asked.

        Raises:
            UserError: on every rank, names what it is.
        """
        everyone = self.say(said()) if self.size > 1 else []
        if any(other != everyone[0] for other in everyone):
            by_rank = "; ".join(f"rank {rank}: {one}" for rank, one in enumerate(everyone))
            raise UserError(f"the ranks need the same {what}, got {by_rank}")

    def _tasks(self, rank: int, num_tasks: int) -> slice:
        each, more = divmod(num_tasks, self.size)
        start = rank * each + min(rank, more)
        return slice(start, start + each + (rank < more))

    def _count(self, rank: int, num_tasks: int) -> int:
        tasks = self._tasks(rank, num_tasks)
        return tasks.stop - tasks.start


ALONE = Ranks()
"""One process that has all tasks."""


def _processes(number: int) -> str:
    return f"{number} ranks" if number > 1 else "one process"


@contextmanager
def launched() -> Iterator[Ranks]:
    """The ranks that `torchrun`, or a launcher that sets its variables, has started; else this process alone.

    Raises:
        UserError: a part of the variables is missing, or is no such number: each process would train the whole run.
        RankError: they do not find each other.
    """
    size, number = _given("WORLD_SIZE", 1, least=1), _given("RANK", 0)
    if size == 1 and number == 0:
        yield ALONE
        return
    if missing := [name for name in _VARIABLES if not os.environ.get(name)]:
        names = ", ".join(_VARIABLES)
        raise UserError(f"ranks need {names} in the environment, as torchrun sets them: {', '.join(missing)} missing")
    if number >= size:
        raise UserError(f"RANK must be below WORLD_SIZE, which is {size}, got {number}")
    _given("MASTER_PORT", 1, least=1)
    ranks = Ranks(number, size, _given("LOCAL_RANK", number), _given("LOCAL_WORLD_SIZE", size, least=1))
    with joined(ranks, "env://"):
        yield ranks


def _given(name: str, default: int, least: int = 0) -> int:
    """The number that a launcher has put into the environment; the default where there is none."""
    text = os.environ.get(name) or str(default)
    if not text.isdecimal() or int(text) < least:
        raise UserError(f"{name} in the environment must be a whole number, {least} at least, got {shortened(text)}")
    return int(text)


@contextmanager
def joined(ranks: Ranks, meeting: str) -> Iterator[Ranks]:
    """This rank with the others, which it meets at an address of torch's, `env://` or `file://...`.

    Raises:
        RankError: they do not come.
    """
    devices.limit_compilers(ranks.cores)
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    with _answers():
        dist.init_process_group(backend, meeting, TIMEOUT, rank=ranks.number, world_size=ranks.size)
    try:
        yield ranks
    finally:
        dist.destroy_process_group()


@contextmanager
def _answers() -> Iterator[None]:
    """Turns what torch says of a rank that is gone into a `RankError`."""
    try:
        yield
    except RuntimeError as error:
        text = (str(error).splitlines() or [""])[0]
        raise RankError(f"another rank ended or does not answer, see what it says ({text})") from error
