"""Trials in processes of this machine: each serves one trial after the other, and one that dies is replaced."""

import contextlib
import multiprocessing
import os
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

import torch

from mtrl.runs.child_process import GRACE_S, end, follow_parent, how_it_ended, start_child
from mtrl.runs.errors import UserError
from mtrl.sweep.engine import Ended, How, Order, Work


@dataclass
class _Worker:
    process: SpawnProcess
    gpus: str | None
    order: Order | None = None


class LocalEngine:
    """Processes of this machine.

    Args:
        work: what they do.
        at_once: how many trials.
        gpus: what a process sees as `CUDA_VISIBLE_DEVICES`, one text for each that may run at once; None for as it is.
            A process with a GPU serves one trial, so that the GPU's memory is free for the next.
    """

    def __init__(self, work: Work, at_once: int, gpus: Sequence[str] | None = None) -> None:
        self._work, self._at_once = work, at_once
        self._free_gpus = list(gpus or ())
        self._takes_gpus = bool(gpus)
        self._workers: dict[Connection, _Worker] = {}

    def describe(self) -> str:
        """See `Engine`."""
        return f"{self._at_once} process{'es' if self._at_once > 1 else ''} of this machine"

    def room(self) -> int:
        """See `Engine`."""
        return self._at_once - sum(worker.order is not None for worker in self._workers.values())

    def submit(self, order: Order) -> None:
        """See `Engine`."""
        idle = next((c for c, worker in self._workers.items() if worker.order is None), None)
        connection = self._start() if idle is None else idle
        self._workers[connection].order = order
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # killed while it was idle: `wait` tells
            connection.send(order)

    def wait(self, timeout_s: float) -> list[tuple[Order, Ended]]:
        """See `Engine`."""
        ended = []
        for connection in wait([*self._workers], timeout_s):
            assert isinstance(connection, Connection)
            worker = self._workers[connection]
            order, worker.order = worker.order, None
            try:
                said: Ended = connection.recv()
            except (EOFError, ConnectionResetError):
                said = Ended(How.DIED, how_it_ended(self._end(connection)))
            else:
                if self._takes_gpus:
                    self._end(connection)
            if order is not None:
                ended.append((order, said))
        return ended

    def stop(self) -> None:
        """See `Engine`."""
        for worker in self._workers.values():
            if worker.order is not None:
                worker.process.terminate()  # SIGTERM

    def close(self) -> None:
        """See `Engine`."""
        for connection in self._workers:
            connection.close()  # which ends an idle one
        for worker in self._workers.values():
            end(worker.process, GRACE_S if worker.order is None else 0)
        self._workers.clear()

    def _start(self) -> Connection:
        ours, theirs = multiprocessing.Pipe()
        gpus = self._free_gpus.pop(0) if self._takes_gpus else None
        process = start_child(_serve, theirs, self._work, gpus)
        theirs.close()
        self._workers[ours] = _Worker(process, gpus)
        return ours

    def _end(self, connection: Connection) -> int:
        """Closes a worker's connection, which ends it, and waits until it has; its exit code."""
        worker = self._workers.pop(connection)
        connection.close()
        worker.process.join()
        if worker.gpus is not None:
            self._free_gpus.append(worker.gpus)
        return worker.process.exitcode or 0


def gpu_slots(each: float) -> list[str] | None:
    """What processes that take so much of a GPU see as `CUDA_VISIBLE_DEVICES`, one text for each that fits.

    Args:
        each: a part of one, or whole ones; with 0 none is seen.

    Returns:
        None with 0.

    Raises:
        UserError: this machine has not so many.
    """
    if each == 0:
        return None
    count = torch.cuda.device_count()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(count)))).split(",")[:count]
    whole = max(1, int(each))
    if len(visible) < whole:
        raise UserError(f"resources.gpus is {each:g}, and torch sees {len(visible)} GPUs on this machine")
    groups = [",".join(visible[start : start + whole]) for start in range(0, len(visible) - whole + 1, whole)]
    return [group for group in groups for _ in range(int(1 / each) if each < 1 else 1)]


def _serve(connection: Connection, work: Work, gpus: str | None) -> None:
    """A worker's process: takes orders until the connection is closed."""
    follow_parent()
    if gpus is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus
    while True:
        try:
            order: Order = connection.recv()
        except (EOFError, ConnectionResetError):
            return
        connection.send(work(order))
