"""Which failures are the user's to mend: those are told in one line, all others keep their traceback."""

import errno

_FULL = (errno.ENOSPC, errno.EDQUOT)
_THEIRS = (FileNotFoundError, PermissionError, NotADirectoryError, IsADirectoryError)
_OURS = ("agents", "envs", "mtrl")


def reason(error: BaseException) -> str | None:
    """The line to print, or None for a defect of ours."""
    if isinstance(error, ModuleNotFoundError):
        return _missing(error)
    if isinstance(error, OSError):
        theirs = error.errno in _FULL or isinstance(error, _THEIRS)
        named = f"{error.filename}: " if error.filename else ""
        return f"{named}{error.strerror}" if theirs else None
    from mtrl.report import ReportError
    from mtrl.runs.errors import UserError  # only once something has failed: the import takes long

    return str(error) if isinstance(error, UserError | ReportError) else None


def _missing(error: ModuleNotFoundError) -> str | None:
    if not str(error).startswith("No module named"):
        return str(error)  # raised by hand, and says what to install
    package = (error.name or "").split(".")[0]
    return None if package in _OURS else f"the package {package} is missing: pip install 'mtrl[rl]'"
