"""A command in a session of its own, as on a terminal of its own, and all the processes that it has started."""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

LIMIT_S = 900.0
MAIN = "from mtrl.cli.main import main; raise SystemExit(main())"


class Running:
    """`mtrl` with these words; `command` is what starts it, after Python's name."""

    def __init__(
        self,
        words: Sequence[str],
        env: Mapping[str, str] | None = None,
        command: Sequence[str] = ("-c", MAIN),
        **more: Any,
    ) -> None:
        self.mark = f"MTRL_TEST={uuid.uuid4()}"
        name, value = self.mark.split("=")
        self.process = subprocess.Popen(
            [sys.executable, *command, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | (env or {}) | {name: value, "COLUMNS": "200"},
            start_new_session=True,
            **more,
        )

    def ended(self) -> tuple[int, list[str], list[str]]:
        """Status, output and errors, once it has ended."""
        out, err = self.process.communicate(timeout=LIMIT_S)
        return self.process.returncode, out.splitlines(), err.splitlines()

    def processes(self) -> set[int]:
        """All that it has started, directly or not, and itself."""
        found = set()
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if self.mark.encode() in (folder / "environ").read_bytes().split(b"\0"):
                    found.add(int(folder.name))
            except OSError:
                continue
        return found

    def end(self) -> None:
        """Kills what is left of it."""
        for pid in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait()


def until(is_so: Callable[[], Any]) -> Any:
    """What it gives, once that is true."""
    limit = time.monotonic() + LIMIT_S
    while not (found := is_so()):
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.02)
    return found
