"""Which failures are the user's to mend: those are told in one line, all others keep their traceback."""

import errno

_FULL = (errno.ENOSPC, errno.EDQUOT)
_THEIRS = (FileNotFoundError, PermissionError, NotADirectoryError, IsADirectoryError)


def reason(error: BaseException) -> str | None:
    """The line to print, or None for a defect of ours."""
    from agents.errors import UserError  # only once something has failed: the import takes long
    from mtrl.report import ReportError

    if isinstance(error, UserError | ReportError):
        return str(error)
    if isinstance(error, OSError) and (error.errno in _FULL or isinstance(error, _THEIRS)):
        return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error)
    return None
