"""Whose turn it is in a run folder: an attempt that another one has followed writes nothing more.

The lock (`mtrl.runs.lock`) ends with a process. This is for a process that lives on where nobody hears of it any more,
on a node that was cut off, and for disks that keep no locks between nodes: whoever begins writes the next number into
the folder, and each write of those before it is refused.
"""

import contextlib
import os
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path

from mtrl.runs.errors import UserError

_FILE = "attempt"
_held: dict[Path, str] = {}


class SupersededError(UserError):
    """Another attempt goes on in this folder."""


@contextlib.contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Makes this process the one that writes in a run folder, until another one claims it; the folder is made here."""
    folder.mkdir(parents=True, exist_ok=True)
    mark = f"{attempts(folder) + 1} {socket.gethostname()} {os.getpid()} {secrets.token_hex(8)}"
    partial = folder / f"{_FILE}.{mark.rpartition(' ')[2]}"
    try:
        partial.write_text(mark)
        partial.replace(folder / _FILE)
    finally:
        partial.unlink(missing_ok=True)  # the disk is full
    _held[folder] = mark
    try:
        yield
    finally:
        del _held[folder]


def attempts(folder: Path) -> int:
    """How many there were; 0 where none was claimed."""
    first = _read(folder).split(" ")[0]
    return int(first) if first.isdecimal() else 0


def check_claim(path: Path) -> None:
    """Check the claim, before each write into a run folder; folders that this process has not claimed are no matter.

    Args:
        path: that is about to be written.

    Raises:
        SupersededError: another attempt has claimed the folder since.
    """
    for folder, mark in _held.items():
        if path.is_relative_to(folder) and (now := _read(folder)) != mark:
            number, host, process = (now.split(" ") + ["?"] * 3)[:3]
            raise SupersededError(f"{folder}: attempt {number} goes on there, process {process} on {host}: stopped")


def _read(folder: Path) -> str:
    with contextlib.suppress(FileNotFoundError):
        return (folder / _FILE).read_text(errors="replace")
    return ""
