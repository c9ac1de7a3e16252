"""Stopping when asked, not in the middle of a step."""

import contextlib
import signal
from collections.abc import Callable, Iterator
from typing import Any

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

    with _handled((signal.SIGINT, signal.SIGTERM), note) as is_ours:
        if is_ours:
            _open.append(received)
        try:
            yield received
        finally:
            if is_ours:
                _open.pop()


@contextlib.contextmanager
def termination_interrupts() -> Iterator[None]:
    """SIGTERM, by which a scheduler ends a job, raises KeyboardInterrupt as SIGINT does."""
    with _handled((signal.SIGTERM,), signal.default_int_handler):
        yield


@contextlib.contextmanager
def _handled(numbers: tuple[signal.Signals, ...], handler: Callable[[int, Any], None]) -> Iterator[bool]:
    """Whether these signals go to a handler meanwhile: outside the main thread they are the caller's."""
    try:
        before = [signal.signal(number, handler) for number in numbers]
    except ValueError:
        yield False
        return
    try:
        yield True
    finally:
        for number, former in zip(numbers, before, strict=True):
            signal.signal(number, former)
