"""A worker's end of the channel, and how it waits there: asleep, or for a moment awake where commands come fast."""

import os
import select
import socket
import time
from typing import final

import numpy as np

_SHORT_PAUSE_S = 300e-6
"""A caller that only acts leaves 100 us between two steps, a learner milliseconds."""
_AWAKE_S = 100e-6
"""Waking a process takes 50 to 200 us and may put it on a core on which another worker runs, which doubles a step."""


@final
class Line:
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
