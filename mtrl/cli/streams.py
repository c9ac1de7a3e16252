"""Standard output and error, whose reader may be gone: `mtrl ... | head`, a `tee` that Ctrl-C ends, too, a terminal."""

import errno
import os
import select
from typing import IO


def tell(line: str, stream: IO[str]) -> None:
    """Print a line at once, if anybody reads it."""
    try:
        print(line, file=stream, flush=True)
    except OSError as error:
        if not is_unread(error):
            raise
        silence(stream)


def is_unread(error: OSError) -> bool:
    """Whether something could not be printed because nobody reads it: a pipe, or a terminal that was closed."""
    return error.errno in (errno.EPIPE, errno.EIO)


def is_read(stream: IO[str]) -> bool:
    """Whether there is still a reader of a stream, where it is a pipe."""
    other_end = select.poll()
    other_end.register(stream.fileno(), 0)  # POLLERR and POLLHUP are always told
    return not other_end.poll(0)


def silence(stream: IO[str]) -> None:
    """Have a stream drop everything from now on; the interpreter would complain when it flushes it at its end."""
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())
