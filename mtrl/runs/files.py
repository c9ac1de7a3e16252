"""Files: those of ours are written whole or not at all, those that people give are looked at before they are read."""

import contextlib
import gzip
import os
import secrets
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from mtrl.runs.claim import check_claim


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file that takes the place of `path` once it is complete and on the disk; until then `path` is as it was.

    Of several at once, each is whole, and the last one stays. What a process that is killed leaves of it in a run's
    folder is removed by the next one that trains there, see `mtrl.runs.lock`.

    Raises:
        SupersededError: see `mtrl.runs.claim`.
    """
    check_claim(path)
    partial = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}.partial")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        check_claim(path)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_atomically(path: Path, text: str) -> None:
    """Replaces a file by a complete new one, see `replacing`."""
    with replacing(path) as file:
        file.write(text.encode())


MOST_BYTES = 1 << 32
"""Of a file of data."""


def check_regular(path: Path, most: int) -> int:
    """The size of a file, in bytes.

    Args:
        path: of the file.
        most: bytes that it may have.

    Raises:
        OSError: it is not there, say.
        ValueError: it is a device, a folder or a pipe, or larger; why, in a few words.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("not a regular file")
    if status.st_size > most:
        raise ValueError(f"{status.st_size:,} bytes are more than the {most:,} that are expected at most")
    return status.st_size


def unpacked(path: Path, most: int) -> bytes:
    """The content of a file, unpacked if its name ends in .gz; no more of it than so many bytes.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not regular, or not a whole gzip file; why, in a few words.
    """
    check_regular(path, MOST_BYTES)
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content: bytes = file.read(most)
            return content
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(str(error)) from error


def read_regular(path: Path, most: int) -> bytes:
    """The content of a file; raises what `check_regular` does."""
    check_regular(path, most)
    with path.open("rb") as file:
        return file.read(most)
