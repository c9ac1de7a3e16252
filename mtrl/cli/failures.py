"""Which failures are the user's to mend: those are told in one line, all others keep their traceback."""

import errno
import traceback

from mtrl.extras import install_package
from mtrl.runs.errors import AWAY, FULL, UserError

_THEIRS = {
    *FULL,
    *AWAY,
    *(errno.ENOENT, errno.EACCES, errno.EPERM, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENOTEMPTY),
    *(errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL, errno.ENXIO, errno.ENODEV, errno.ETXTBSY, errno.EMFILE),
}
"""What the disk says of paths: full, read-only, away, not there, in the way, a loop of links, too long, a pipe."""
_MEMORY = ("can't allocate memory", "out of memory", "not enough memory")
_OURS = ("mtrl",)


def reason(error: BaseException, command: str = "") -> str | None:
    """The line to print of a failed command, or None for a defect of ours."""
    if isinstance(error, ModuleNotFoundError):
        return _missing(error, command)
    if isinstance(error, OSError):
        theirs = error.errno in _THEIRS
        named = f"{error.filename}: " if error.filename else ""
        return f"{named}{error.strerror}" if theirs else None
    text = str(error).splitlines()[0] if str(error) else ""
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and any(m in text for m in _MEMORY)):
        return f"the memory does not suffice: {text or 'smaller sizes need less'}"
    if isinstance(error, RuntimeError) and text.startswith("Symlink loop"):
        return text  # as pathlib says it
    return str(error) if isinstance(error, UserError) else None


def trace_of(error: BaseException, line: str | None) -> str:
    """What to show before that line: of a user's error its notes, of a defect of ours its traceback."""
    if line is None:
        return "".join(traceback.format_exception(error))
    return "\n".join(getattr(error, "__notes__", ()))


def _missing(error: ModuleNotFoundError, command: str) -> str | None:
    if not str(error).startswith("No module named"):
        return str(error)  # raised by hand, and says what to install
    package = (error.name or "").split(".")[0]
    if package in _OURS:
        return None
    words = install_package(package, command)
    return f"the package {package} is missing" + (f": {words}" if words else "")
