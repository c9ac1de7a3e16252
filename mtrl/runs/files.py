"""Files that are written whole or not at all."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from mtrl.runs.claim import check_claim


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file that takes the place of `path` once it is complete and on the disk; until then `path` is as it was.

    Raises:
        SupersededError: see `mtrl.runs.claim`.
    """
    check_claim(path)
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        check_claim(path)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
