"""The processes of a sweep, apart from its trials."""

import multiprocessing
import os
import subprocess
import sys
from typing import Any

from mtrl.sweep.engine import Ended, How
from mtrl.sweep.local import LocalEngine

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


def seen_gpus(_: object) -> Ended:
    return Ended(How.FINISHED, os.environ["CUDA_VISIBLE_DEVICES"])


def test_a_process_with_a_gpu_sees_that_one_and_serves_one_trial() -> None:
    engine: Any = LocalEngine(seen_gpus, 1, ["7"])
    engine.submit(0)
    while not (ended := engine.wait(60.0)):
        pass
    assert ended == [(0, Ended(How.FINISHED, "7"))]
    assert not engine._workers  # the GPU's memory is free for the next
    assert engine._free_gpus == ["7"]
    engine.close()


def test_a_process_that_is_through_leaves_nothing_behind() -> None:
    done = subprocess.run([sys.executable, "-c", RUN], check=False, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
