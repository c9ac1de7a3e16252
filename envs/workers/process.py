"""One worker process as its parent sees it."""

import json
import os
import socket
import subprocess
import sys
import tempfile

from mtrl.envs.interface import SimulatorError, TaskError
from mtrl.envs.workers import protocol
from mtrl.envs.workers.lifeline import Lifeline
from mtrl.envs.workers.plan import Plan, Share

_EXIT_TIMEOUT_S = 5.0
# The worker finds its packages where the parent does, whatever the working directory is.
# What it is told comes as a file: an argument of a process holds 128 KB.
_START = "import sys; sys.path[:] = {path!r}; from {worker} import main; main(sys.stdin.read())"
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class Worker:
    """A fresh interpreter that steps some environments, one command at a time.

    A fresh one, not a fork: it holds none of the parent's threads, locks, memory or imports.
    """

    def __init__(self, plan: Plan, share: Share, memory: int, count: int) -> None:
        """Start the process on the shared memory of `count` rows; it answers once when its simulators are built."""
        self._names = share.names
        self._channel, theirs = socket.socketpair()
        self._lifeline = Lifeline()
        with theirs, tempfile.TemporaryFile() as told:
            arguments = json.dumps(
                {
                    **share.specification,
                    "observation_size": plan.observation_size,
                    "action_size": plan.action_size,
                    "count": count,
                    "channel": theirs.fileno(),
                    "memory": memory,
                }
            )
            told.write(arguments.encode())
            told.seek(0)
            self._process = subprocess.Popen(
                [sys.executable, "-c", _START.format(path=sys.path, worker=plan.worker)],
                pass_fds=(theirs.fileno(), memory, self._lifeline.child_end.fileno()),
                stdin=told,
                env=os.environ | _ONE_THREAD,
                start_new_session=True,  # Ctrl-C in the terminal is the parent's to handle
            )
        self._lifeline.hold(self._process.pid)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def send(self, command: bytes) -> None:
        """Give a command (`protocol.STEP`, ...). Raises RuntimeError if the process died."""
        try:
            self._channel.sendall(command)
        except (BrokenPipeError, ConnectionResetError):
            raise self._death(b"") from None

    def wait(self) -> None:
        """Wait for the answer to a command. Raises RuntimeError, with the tasks' names, if there is none."""
        answer = self._receive()
        if answer != protocol.DONE:
            raise self._death(answer)

    def _receive(self) -> bytes:
        try:
            return self._channel.recv(1)
        except ConnectionResetError:
            return b""

    def _death(self, answer: bytes) -> RuntimeError:
        if answer in (protocol.FAILED, protocol.RAISED):
            with self._channel.makefile("rb") as rest:
                told = rest.read().decode()
            if answer == protocol.RAISED:
                line, trace = json.loads(told)
                error: RuntimeError = TaskError(line)
            else:
                trace = told
                error = RuntimeError(f"the simulator of {self._names} failed: {trace.splitlines()[-1]}")
            error.add_note(trace)
            return error
        status = self._process.wait(_EXIT_TIMEOUT_S)
        cause = f"was killed by signal {-status}" if status < 0 else f"ended with exit code {status}"
        return SimulatorError(f"the simulator process of {self._names} {cause}")

    def hang_up(self) -> None:
        """Tell the process to end; it does so when its current command is done."""
        self._channel.close()

    def join(self) -> None:
        """Wait for its end, and kill it if that takes too long."""
        try:
            self._process.wait(_EXIT_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._lifeline.let_go()
