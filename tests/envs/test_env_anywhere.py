"""`envs.make` works wherever it is called, and leaves nothing behind, whatever happens to its caller."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mtrl import envs
from mtrl.envs.workers import process
from mtrl.envs.workers.vector_env import WorkerEnv
from tests.envs.processes import alive, end_within

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

_PATH = f"import sys; sys.path[:] = {[path or os.getcwd() for path in sys.path]!r}\n"

# A task of its own, as a notebook has it, and no `if __name__ == "__main__"`.
_SCRIPT = f"""{_PATH}
import gymnasium, numpy as np
from mtrl import envs

class Still(gymnasium.Env):
    observation_space = action_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)
    def reset(self, *, seed=None, options=None):
        return np.zeros(2), {{}}
    def step(self, action):
        return np.ones(2), float(action[0]), False, False, {{}}

gymnasium.register("Still-v0", Still)
env = envs.make(["Still-v0"], num_envs_per_task=2, num_workers=2, horizon=20)
first = env.reset()
step = env.step(np.full((1, 2, 2), 0.5))
env.close()
print("rewards", *step.reward.ravel())
"""
_SAYS = "rewards 0.5 0.5\n"


@pytest.mark.parametrize("how", ["file", "interactive", "cell"])
def test_in_a_script_without_main_guard_in_a_session_and_in_a_cell(how: str, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(_SCRIPT)
    arguments = {"file": ["script.py"], "interactive": ["-i", "-q"], "cell": ["-c", f"exec({_SCRIPT!r}, {{}})"]}[how]
    told = _SCRIPT if how == "interactive" else None
    done = subprocess.run(
        [sys.executable, *arguments], input=told, capture_output=True, text=True, cwd=tmp_path, timeout=120, check=False
    )
    assert (done.stdout, done.returncode) == (_SAYS, 0), done.stderr


@pytest.mark.parametrize("guarded", [True, False])
def test_in_a_spawned_process(guarded: bool, tmp_path: Path) -> None:
    """Without a guard, Python's own message ends it; environments made meanwhile end with their makers."""
    start = 'one = mp.get_context("spawn").Process(target=play); one.start(); one.join(); sys.exit(one.exitcode)'
    (tmp_path / "script.py").write_text(
        _PATH
        + "import multiprocessing as mp\nimport numpy as np\nfrom mtrl import envs\n"
        + "def play():\n    with envs.make('Points', num_workers=2) as env:\n"
        + "        env.reset()\n        print(env.step(np.zeros((4, 1, 2))).reward.shape)\n"
        + (f"if __name__ == '__main__':\n    {start}\n" if guarded else f"play()\n{start}\n")
    )
    done = subprocess.run(
        [sys.executable, "script.py"], capture_output=True, text=True, cwd=tmp_path, timeout=120, check=False
    )
    if guarded:
        assert (done.stdout, done.returncode) == ("(4, 1)\n", 0), done.stderr
    else:
        assert done.returncode == 1
        assert done.stdout == 2 * "(4, 1)\n"
        assert "if __name__ == '__main__':" in done.stderr


def test_made_in_a_thread_that_ends() -> None:
    made: list[envs.VectorEnv] = []

    def make() -> None:
        made.append(envs.make("Points", num_workers=2))

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    (env,) = made
    with env:
        env.reset()
        assert env.step(np.zeros((4, 1, 2))).reward.shape == (4, 1)


_PARENT = f"""{_PATH}
import os, signal, threading, time
from mtrl import envs
made = []
thread = threading.Thread(target=lambda: made.append(envs.make("Points", num_workers=2)))
thread.start()
thread.join()
made[0].reset()
if os.fork() == 0:
    time.sleep(60)
    os._exit(0)
print(*made[0].worker_pids(), flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("stopped", [False, True])
def test_workers_end_with_a_killed_parent(stopped: bool) -> None:
    """Made in a thread that has ended, with a fork of the parent alive.

    Stopped ones stand for those that the machine is too busy to run: they cannot notice anything themselves.
    """
    with subprocess.Popen(
        [sys.executable, "-c", _PARENT], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as parent:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        try:
            assert len(pids) == 2
            assert all(map(alive, pids))
            for pid in pids if stopped else ():
                os.kill(pid, signal.SIGSTOP)
            parent.kill()
            assert end_within(pids, 5)
        finally:
            os.killpg(parent.pid, signal.SIGKILL)  # the fork


def test_close_ends_a_stopped_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_EXIT_TIMEOUT_S", 0.2)
    env = envs.make("Points", num_workers=2)
    assert isinstance(env, WorkerEnv)
    env.reset()
    os.kill(env.worker_pids()[1], signal.SIGSTOP)
    env.close()
    assert not any(map(alive, env.worker_pids()))


@pytest.mark.parametrize("cycles", [24, pytest.param(1000, marks=pytest.mark.slow)])
def test_making_and_closing_leaves_nothing(cycles: int) -> None:
    def cycle() -> None:
        with envs.make("Points", num_workers=1) as env:
            env.reset()

    for _ in range(2):
        cycle()
    before = list(_held())
    for _ in range(cycles):
        cycle()
    assert list(_held()) == before


def _held() -> Iterator[int]:
    """Descriptors, threads, shared memory and children of this process, zombies too."""
    own = Path("/proc/self")
    yield len(list((own / "fd").iterdir()))
    yield len(list((own / "task").iterdir()))
    yield (own / "maps").read_text().count("memfd:envs")
    yield sum(len(children.read_text().split()) for children in own.glob("task/*/children"))
