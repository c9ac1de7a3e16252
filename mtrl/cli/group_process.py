"""Groups of seeds in processes of their own: events come over pipes, a stop goes to all, and none is left behind."""

import multiprocessing
import warnings
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from mtrl.agents.config import Config
from mtrl.agents.groups import Grouping, Seeds, train_and_evaluate
from mtrl.cli.audience import Audience, End
from mtrl.cli.failures import reason, trace_of
from mtrl.runs import devices
from mtrl.runs.child_process import end, follow_parent, how_it_ended, start_child
from mtrl.runs.errors import UserError
from mtrl.runs.events import Event

_ASKED_EVERY_S = 0.2  # whether a signal has come


@dataclass
class _Running:
    seeds: Seeds
    process: SpawnProcess
    has_ended: bool = False
    """How is known; the process is about to go."""


class GroupProcesses:
    """The groups of a run, as processes.

    Args:
        config: of the run.
        folders: by seed.
        resume: go on with what is there.
        grouping: groups, and how many at once.
        audience: told of everything.
    """

    def __init__(
        self, config: Config, folders: Mapping[int, Path], resume: bool, grouping: Grouping, audience: Audience
    ) -> None:
        self._config, self._folders, self._resume = config, folders, resume
        self._grouping, self._audience = grouping, audience
        self._running: dict[Connection, _Running] = {}

    def run(self, stop: Sequence[int]) -> None:
        """Run all.

        Once `stop` holds a signal, no group is begun, and those that run finish their step and write checkpoints.
        However it is left, no process stays behind.
        """
        waiting, asked = deque(self._grouping.groups), False
        try:
            while self._running or (waiting and not stop):
                while waiting and not stop and len(self._running) < self._grouping.at_once:
                    self._start(waiting.popleft())
                if stop and not asked:
                    asked = True
                    for running in self._running.values():
                        running.process.terminate()  # SIGTERM
                for connection in wait([*self._running], timeout=_ASKED_EVERY_S):
                    assert isinstance(connection, Connection)
                    self._receive(connection, bool(stop))  # it may have come to all processes at once
        finally:
            for running in self._running.values():
                end(running.process, 0)

    def _start(self, seeds: Seeds) -> None:
        ours, theirs = multiprocessing.Pipe(duplex=False)
        folders = {seed: self._folders[seed] for seed in seeds}
        self._audience.begin(seeds)
        process = start_child(_run_group, theirs, self._config, folders, self._resume, self._grouping.cores)
        theirs.close()
        self._running[ours] = _Running(seeds, process)

    def _receive(self, connection: Connection, asked: bool) -> None:
        running = self._running[connection]
        try:
            message = connection.recv()
        except (EOFError, ConnectionResetError):
            del self._running[connection]
            running.process.join()
            if not running.has_ended:
                self._audience.ended(running.seeds, _death(running.process.exitcode, asked))
            return
        if running.has_ended:
            return  # what it says until it is gone
        try:
            if not isinstance(message, End):
                self._audience.tell(running.seeds, *message)
                return
        except UserError as error:  # its tracked run cannot begin
            running.process.terminate()
            message = End(finished=False, failure=str(error))
        running.has_ended = True
        self._audience.ended(running.seeds, message)


def _death(exit_code: int | None, asked: bool) -> End:
    """How a group ended whose process went without saying so."""
    if asked:
        return End(finished=False)
    return End(finished=False, failure=f"{how_it_ended(exit_code)}; --resume goes on from its last checkpoint")


def _run_group(connection: Connection, config: Config, folders: Mapping[int, Path], resume: bool, cores: int) -> None:
    """Train and evaluate a group in a process of its own; what it has to tell goes through the connection."""
    follow_parent()
    devices.limit_compilers(cores)

    def tell(event: Event, seed: int | None) -> None:
        connection.send((event, seed))

    def show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
        tell({"kind": "note", "text": f"warning: {message}"}, None)

    warnings.showwarning = show_warning
    try:
        connection.send(End(train_and_evaluate(config, folders, resume, cores, tell)))
    except Exception as error:
        line = reason(error)
        failure = line or f"{type(error).__name__}: {error}"
        connection.send(End(finished=False, failure=failure, trace=trace_of(error, line)))
