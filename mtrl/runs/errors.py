"""Failures that a user can mend."""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
"""What a disk says that takes nothing more."""
AWAY = (errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EREMOTEIO, errno.ENOTCONN, errno.EHOSTDOWN)
"""What a disk of another machine says that is away for a moment."""
_LONG_WORD, _LONG_LINE = 400, 1_800
"""Characters, of a path or a value, and of all."""


class UserError(Exception):
    """Its text is the one line to show: the parameter, the rule, the value, the fix; too long a value is cut."""

    def __init__(self, text: str) -> None:
        text = re.sub(rf"\S{{{_LONG_WORD},}}", lambda word: f"{word[0][:56]} ...", text)
        super().__init__(text if len(text) <= _LONG_LINE else f"{text[:_LONG_LINE]} ...")

    @classmethod
    def of(cls, error: BaseException, more: str = "") -> "UserError":
        """What another exception says, and more behind it; its notes are shown before that line."""
        ours = cls(f"{error}{more}")
        for note in getattr(error, "__notes__", ()):
            ours.add_note(note)
        return ours


@contextmanager
def in_section(section: str) -> Iterator[None]:
    """What a block finds wrong with fields of a configuration's section is a line that names it: `env.tasks ...`.

    Raises:
        UserError: in place of a ValueError.
    """
    try:
        yield
    except ValueError as error:
        raise UserError(f"{section}.{error}") from error


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turns a full or read-only disk into a `UserError`; what is elsewhere, as data that may not be read, is named."""
    try:
        yield
    except OSError as error:
        if error.errno in (*FULL, errno.EACCES, errno.EPERM):
            named = Path(str(error.filename or folder))
            if not (named.is_relative_to(folder) or folder.is_relative_to(named)):
                raise UserError(f"{named}: {error.strerror}") from error
            raise UserError(f"cannot write in {folder}: {error.strerror}; what was written before is kept") from error
        raise


def shortened(value: object) -> str:
    """A value for a message."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:56]} ..."
