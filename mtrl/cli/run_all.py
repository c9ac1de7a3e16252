"""Work of seconds that is done in several processes, with its progress."""

import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any, TypeVar

from rich.console import Console

from mtrl.cli.progress import Progress
from mtrl.cores import available_cores
from mtrl.runs.child_process import follow_parent

T = TypeVar("T")


def run_all(what: str, function: Callable[..., T], arguments: Sequence[tuple[Any, ...]]) -> list[T]:
    """A function of each of these arguments, several at a time; its results in their order."""
    # Fresh processes: none has torch's threads, and a graphics library is loaded once in each.
    pool = ProcessPoolExecutor(
        min(available_cores(), len(arguments)), multiprocessing.get_context("spawn"), follow_parent
    )
    started = time.monotonic()
    try:
        with Progress(Console(stderr=True), what) as progress:
            waiting = [pool.submit(function, *each) for each in arguments]
            for done, future in enumerate(as_completed(waiting), 1):
                future.result()
                share = done / len(waiting)
                progress.update({"kind": "progress", "share": share, "wall_s": time.monotonic() - started})
            return [future.result() for future in waiting]
    finally:
        pool.shutdown(cancel_futures=True)
