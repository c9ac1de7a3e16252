"""Stopping when asked, not in the middle of a step."""

import contextlib
import signal
from collections.abc import Iterator

_open: list[list[int]] = []


def is_asked_to_stop() -> bool:
    """Whether a signal has come that something in this process is still to follow."""
    return any(_open)


@contextlib.contextmanager
def stop_signals() -> Iterator[list[int]]:
    """Collects SIGINT and SIGTERM instead of stopping at once; a second SIGINT interrupts."""
    received: list[int] = []

    def note(number: int, frame: object) -> None:
        if received and number == signal.SIGINT:
            raise KeyboardInterrupt
        received.append(number)

    numbers = (signal.SIGINT, signal.SIGTERM)
    try:
        before = [signal.signal(number, note) for number in numbers]
    except ValueError:  # not the main thread: signals are the caller's
        yield received
        return
    _open.append(received)
    try:
        yield received
    finally:
        _open.pop()
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


@contextlib.contextmanager
def termination_interrupts() -> Iterator[None]:
    """SIGTERM, by which a scheduler ends a job, raises KeyboardInterrupt as SIGINT does."""
    try:
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    except ValueError:  # not the main thread: signals are the caller's
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
