"""A row in a process of its own, so that start-up and memory are the row's alone."""

import json
import os
import socket
import subprocess
import sys
import time

from scripts.envs_bench.catalog import ROWS
from scripts.envs_bench.memory import tree_mib
from scripts.envs_bench.row import Stepped

_START = "import sys; sys.path[:] = {path!r}; from scripts.envs_bench.served import serve; serve(*sys.argv[1:])"
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
_EXIT_TIMEOUT_S = 20.0


class RowError(Exception):
    """The row's process failed; its text is one line."""


class Served:
    """A row that runs elsewhere: the parent's side."""

    def __init__(self, name: str, size: int, workers: int, core: int | None = None) -> None:
        """Build it, step it once.

        Args:
            name: of `catalog.ROWS`.
            size: environments.
            workers: processes, for the rows that have a choice.
            core: the one that it may use; all by default.

        Raises:
            RowError: it failed.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    _START.format(path=sys.path),
                    *(name, str(size), str(workers), str(-1 if core is None else core), str(theirs.fileno())),
                ],
                pass_fds=(theirs.fileno(),),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=os.environ | _ONE_THREAD,
                text=True,
            )
        self._channel = ours.makefile("rw")
        ours.close()
        self.start_up_s = float(self._answer())
        self.mib = tree_mib(self._process.pid)

    def run(self, seconds: float) -> Stepped:
        """See `Row.run`."""
        self._channel.write(json.dumps(seconds) + "\n")
        self._channel.flush()
        return Stepped(*json.loads(self._answer()))

    def close(self) -> None:
        """End the process and wait until its memory is free."""
        self._channel.close()
        try:
            self._process.communicate(timeout=_EXIT_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()

    def _answer(self) -> str:
        line = self._channel.readline()
        if line:
            return line
        self._channel.close()
        _, errors = self._process.communicate()
        lines = errors.strip().splitlines()
        raise RowError(lines[-1] if lines else f"its process ended with {self._process.returncode}")


def serve(name: str, size: str, workers: str, core: str, channel: str) -> None:
    """The row's side: the seconds until the first step is done, then an answer for each order."""
    if int(core) >= 0:
        os.sched_setaffinity(0, {int(core)})
    with socket.socket(fileno=int(channel)) as ours, ours.makefile("rw") as orders:
        os.set_inheritable(ours.fileno(), False)
        start = time.perf_counter()
        row = ROWS[name].build(int(size), int(workers))
        row.run(0.0)
        orders.write(f"{time.perf_counter() - start}\n")
        orders.flush()
        for order in orders:
            orders.write(json.dumps(row.run(json.loads(order))) + "\n")
            orders.flush()
        row.close()
