"""Processes that another one of ours starts: they end with it, and it alone decides what Ctrl-C does."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from multiprocessing.context import SpawnProcess

GRACE_S = 10.0
"""That a process has to end which has nothing more to do."""


def start_child(target: Callable[..., None], *arguments: object) -> SpawnProcess:
    """A running process that calls a function, which begins with `follow_parent`.

    Ctrl-C goes to all processes of the terminal: it stays blocked in this one from its first moment on.
    """
    process = multiprocessing.get_context("spawn").Process(target=target, args=arguments)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return process


def follow_parent() -> None:
    """Leave Ctrl-C to the process that started this one, and end when it does, however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def end(process: SpawnProcess, grace_s: float) -> None:
    """Waits so many seconds for a process to end, then kills it: its semaphores stay behind, and Python says so."""
    process.join(grace_s)
    process.kill()
    process.join()


def how_it_ended(exit_code: int | None) -> str:
    """What to say of a process that ended unasked, by its exit code, or minus the signal that killed it."""
    code = exit_code or 0
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    memory = ", perhaps for want of memory" if code == -signal.SIGKILL else ""
    return f"its process {how}{memory}"
