"""Many training runs, some at a time, each a process of its own; stopped, they go on where they were."""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import NamedTuple

_INTERRUPTED = 130


def slug(label: str) -> str:
    """A name for files."""
    return "".join(c if c.isalnum() else "-" for c in label.lower())


class Job(NamedTuple):
    """One command; called again, it must go on where it was."""

    label: str
    """What is printed when it is over."""
    words: tuple[str, ...]
    log: Path
    """Its output is added here. `<log>.done` holds the command once it is finished: it is not run again."""

    @property
    def command(self) -> str:
        return shlex.join(self.words)

    @property
    def is_finished(self) -> bool:
        done = _marker(self)
        return done.exists() and done.read_text() == self.command


def unfinished(jobs: Sequence[Job]) -> tuple[str, ...]:
    """Labels of jobs that are still to be run."""
    return tuple(job.label for job in jobs if not job.is_finished)


def run_all(jobs: Sequence[Job], at_once: int, threads: int = 1, after: Callable[[], None] = lambda: None) -> int:
    """Runs what is not finished, in order.

    Interrupted (SIGINT, SIGTERM), it asks the processes to stop, which lets them write checkpoints, and ends the script
    with status 130.

    Args:
        jobs: with logs of their own.
        at_once: how many processes.
        threads: of each.
        after: called after each job, from this thread.

    Returns:
        How many failed; their logs say why.
    """
    running: set[subprocess.Popen[bytes]] = set()
    before = signal.signal(signal.SIGTERM, _interrupt)
    pool = ThreadPoolExecutor(at_once)
    try:
        submitted = [(job, pool.submit(_run, job, threads, running)) for job in jobs]
        failed = 0
        for job, future in submitted:
            status = future.result()
            failed += status != 0
            outcome = "done" if status == 0 else f"exit code {status}, see {job.log}"
            print(f"{job.label}: {outcome}", flush=True)
            after()
        return failed
    except KeyboardInterrupt:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in [*running]:
            process.terminate()
        print("stopped: the same command goes on from here", file=sys.stderr)
        sys.exit(_INTERRUPTED)
    finally:
        pool.shutdown()
        signal.signal(signal.SIGTERM, before)


def _run(job: Job, threads: int, running: set[subprocess.Popen[bytes]]) -> int:
    if job.is_finished:
        return 0
    job.log.parent.mkdir(parents=True, exist_ok=True)
    here = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    few_threads = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads), "PATH": here}
    with job.log.open("a") as output:
        process = subprocess.Popen(job.words, env=os.environ | few_threads, stdout=output, stderr=output)
        running.add(process)
        status = process.wait()
        running.discard(process)
    if status == 0:
        _marker(job).write_text(job.command)
    return status


def _marker(job: Job) -> Path:
    return job.log.with_name(job.log.name + ".done")


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
