"""Files that people give: regular ones of a sane size, looked at before memory is taken."""

import gzip
import stat
import zlib
from pathlib import Path

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
