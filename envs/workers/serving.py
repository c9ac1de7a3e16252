"""The frame of what runs inside a worker process, and how it waits there.

It waits asleep, or for a moment awake where commands come fast. It ends when the channel does, that is when its parent
closes it; when the parent dies, `lifeline` ends it sooner.
"""

import gc
import json
import os
import select
import signal
import socket
import time
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, final

import numpy as np

from mtrl.envs.interface import TaskError
from mtrl.envs.workers import protocol

Obey = Callable[[bytes], None]
"""Carries out one command on the rows."""
_SHORT_PAUSE_S = 300e-6
"""A caller that only acts leaves 100 us between two steps, a learner milliseconds."""
_AWAKE_S = 100e-6
"""Waking a process takes 50 to 200 us and may put it on a core on which another worker runs, which doubles a step."""


def serve(specification: str, build: Callable[[dict[str, Any], np.ndarray, ExitStack], Obey]) -> None:
    """Serve the parent that wrote this specification.

    Args:
        specification: JSON, written by `process.Worker`.
        build: makes the simulators of a specification on the table of rows; what the stack is given is called when all
            is over.
    """
    signal.signal(signal.SIGTERM, _leave_to_parent)
    spec = json.loads(specification)
    with socket.socket(fileno=spec["channel"]) as channel, ExitStack() as closing:
        try:
            row = protocol.row(spec["observation_size"], spec["action_size"])
            table = protocol.attach(spec["memory"], spec["count"], row)
            obey = build(spec, table, closing)
            gc.freeze()  # what is there now stays: no collection needs to look at it
            line = _Line(channel, table["finished"], spec["rows"][0])
            while command := line.answer(protocol.DONE):
                obey(command)
        except (BrokenPipeError, ConnectionResetError):
            pass  # nobody is left to serve
        except TaskError as error:
            channel.sendall(protocol.RAISED + json.dumps([str(error), *error.__notes__]).encode())
        except Exception:
            channel.sendall(protocol.FAILED + traceback.format_exc().encode())


def _leave_to_parent(number: int, frame: object) -> None:
    """Clusters stop a job by telling all its processes; the parent finishes its step first, and needs this one for it.

    Unlike a signal that is ignored, one with a handler is not handed on to what a simulator starts.
    """


@final
class _Line:
    """Answers out, commands in.

    If the last pause was a short one, from the last worker's answer to the command that followed, it waits awake for
    `_AWAKE_S` before it sleeps; else it sleeps at once. Awake, it lets whoever shares its core run.
    """

    def __init__(self, channel: socket.socket, finished: np.ndarray, worker: int) -> None:
        """`finished`: when each worker last answered, on the clock that all share, in shared memory."""
        self._channel = channel
        poller = select.poll()
        poller.register(channel, select.POLLIN)
        self._poll = poller.poll
        self._finished, self._worker = finished, worker
        self._in_short_pauses = False

    def answer(self, answer: bytes) -> bytes:
        """Answer a command and wait for the next, a byte; none if the other side is gone."""
        now = self._finished[self._worker] = time.monotonic()
        self._channel.sendall(answer)
        until = now + _AWAKE_S
        while self._in_short_pauses and not self._poll(0) and time.monotonic() < until:
            os.sched_yield()
        command = self._channel.recv(1)
        self._in_short_pauses = bool(time.monotonic() - self._finished.max() < _SHORT_PAUSE_S)
        return command
