"""Who trains in a run folder: a lock that the system takes back when the process ends, however it ends."""

import contextlib
import fcntl
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from mtrl.runs.errors import UserError

_FILE = "lock"
_ASKING_S = 0.3


class BusyError(UserError):
    """A process trains there."""


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps other processes from training in a run folder. Where the disk knows no locks, it keeps none.

    Files that a process was killed over while it wrote them (`mtrl.runs.files.replacing`) are removed.

    Raises:
        BusyError: a process trains there already.
    """
    with (folder / _FILE).open("a+") as file:
        try:
            _take(file)
        except BlockingIOError as error:
            file.seek(0)
            raise BusyError(f"run {folder} is being trained, by process {file.read().strip()}") from error
        except OSError:
            yield
            return
        file.truncate(0)
        file.write(f"{this_process()}\n")
        file.flush()
        for left in [*folder.glob("*.partial"), *folder.glob("checkpoints/*.partial")]:
            left.unlink(missing_ok=True)
        yield


def this_process() -> str:
    """Its number and its machine: on a disk that machines share the number alone is another machine's."""
    return f"{os.getpid()} on {socket.gethostname()}"


def _take(file: IO[str]) -> None:
    """Takes the lock; for a moment it may be held by who only asks, see `is_locked`."""
    limit = time.monotonic() + _ASKING_S
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= limit:
                raise
            time.sleep(0.01)


@contextlib.contextmanager
def taking_turns(folder: Path) -> Iterator[None]:
    """Waits until no other process is in here for this folder. Where the disk knows no locks, it does not."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def is_locked(folder: Path) -> bool | None:
    """Whether a process trains there now; None if that cannot be told: no lock was ever taken, or there are none."""
    try:
        with (folder / _FILE).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
    except BlockingIOError:
        return True
    except OSError:
        return None
