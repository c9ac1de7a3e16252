"""The processes of a sweep, apart from its trials."""

import subprocess
import sys

RUN = """
from mtrl.sweep.local import LocalEngine
from tests.sweep.semaphores import make_one

engine = LocalEngine(make_one, 2)
for number in range(2):
    engine.submit(number)
ended = 0
while ended < 2:
    ended += len(engine.wait(1.0))
engine.close()
"""


def test_a_process_that_is_through_leaves_nothing_behind() -> None:
    done = subprocess.run([sys.executable, "-c", RUN], check=False, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
