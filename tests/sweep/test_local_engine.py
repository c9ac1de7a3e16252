"""The processes of a sweep, apart from its trials."""

import multiprocessing
import subprocess
import sys
from typing import Any

from mtrl.sweep.engine import Ended, How

RUN = """
from mtrl.sweep.local import LocalEngine
from tests.sweep.test_local_engine import make_semaphore

engine = LocalEngine(make_semaphore, 2)
for number in range(2):
    engine.submit(number)
ended = 0
while ended < 2:
    ended += len(engine.wait(1.0))
engine.close()
"""
kept: list[Any] = []


def make_semaphore(_: object) -> Ended:
    """Leaves one to its process, named as in all that were spawned: a compiled update does."""
    kept.append(multiprocessing.RLock())
    return Ended(How.FINISHED)


def test_a_process_that_is_through_leaves_nothing_behind() -> None:
    done = subprocess.run([sys.executable, "-c", RUN], check=False, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
