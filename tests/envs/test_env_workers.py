"""Worker processes: what they load, how they end, and what is said when one ends too early."""

import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mtrl import envs
from mtrl.envs.workers import protocol
from mtrl.envs.workers.assignment import balanced
from mtrl.envs.workers.vector_env import WorkerEnv
from tests.envs.processes import alive, end_within

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def _make(tasks: list[str], num_workers: int) -> WorkerEnv:
    env = envs.make(tasks, num_workers=num_workers, horizon=20)
    assert isinstance(env, WorkerEnv)
    return env


def _cpu_s(pid: int) -> float:
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def test_close_and_forgetting_end_the_workers() -> None:
    env = _make(["reach-v3", "push-v3"], 2)
    pids = env.worker_pids()
    assert len(set(pids)) == 2
    assert all(map(alive, pids))
    env.reset()
    env.send(np.zeros((2, 1, 4)))
    env.close()  # in the middle of a step
    assert not any(map(alive, pids))

    forgotten = _make(["reach-v3"], 1)
    pids = forgotten.worker_pids()
    del forgotten
    assert end_within(pids, 5)


def test_workers_import_no_torch_and_are_in_a_session_of_their_own() -> None:
    import torch  # noqa: F401  loaded here

    with _make(["reach-v3", "push-v3"], 2) as env:
        for pid in env.worker_pids():
            assert os.getsid(pid) != os.getsid(os.getpid())  # Ctrl-C reaches the terminal's session alone
            assert "libmujoco" in (maps := Path(f"/proc/{pid}/maps").read_text())
            assert "libtorch" not in maps


def test_killed_worker_is_named_and_takes_the_rest_along() -> None:
    env = _make(["reach-v3", "push-v3", "door-open-v3"], 3)
    env.reset()
    pids = env.worker_pids()
    os.kill(pids[1], signal.SIGKILL)  # one task each, in their order
    with pytest.raises(RuntimeError, match="simulator process of push-v3 was killed by signal 9"):
        env.step(np.zeros((3, 1, 4)))
    assert not any(map(alive, pids))
    with pytest.raises(RuntimeError, match="after close"):
        env.reset()


def test_workers_sleep_while_nobody_steps() -> None:
    """Also after a burst of steps, during which they wait awake."""
    with _make(["reach-v3", "push-v3"], 2) as env:
        env.reset()
        for _ in range(30):
            env.step(np.zeros((2, 1, 4)))
        time.sleep(0.05)
        before = [_cpu_s(pid) for pid in env.worker_pids()]
        time.sleep(0.3)
        assert [_cpu_s(pid) for pid in env.worker_pids()] == before


def test_failure_inside_a_worker_is_reported_with_its_trace() -> None:
    env = _make(["reach-v3"], 1)
    env.reset()
    env.step(np.zeros((1, 1, 4)))
    env._rows["start"] = 50  # there are goals 0 to 49
    env._workers[0].send(protocol.RESET)
    with pytest.raises(RuntimeError, match="simulator of reach-v3 failed: IndexError") as error:
        env._workers[0].wait()
    assert "Traceback" in error.value.__notes__[0]
    env.close()


def test_importing_envs_loads_no_simulator_and_no_torch() -> None:
    code = f"import sys; sys.path[:] = {sys.path!r}; from mtrl import envs; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "mtrl.envs.factory" in loaded.split()
    assert not {"torch", "mujoco", "metaworld", "envpool", "gymnasium"} & set(loaded.split())


def test_more_workers_than_environments_are_not_started() -> None:
    with _make(["reach-v3"], 8) as env:
        assert len(env.worker_pids()) == 1


def test_assignment_is_complete_and_balanced() -> None:
    costs = [160.0] * 4 + [380.0] * 8 + [120.0] * 28
    for num_workers, num_envs in itertools.product((1, 2, 4, 7, 40), (1, 4)):
        assignment = balanced(costs, [row // num_envs for row in range(40)], num_workers)
        assert len(assignment) == num_workers
        assert all(assignment)
        assert sorted(row for rows in assignment for row in rows) == list(range(40))
        loads = [sum(costs[row] for row in rows) for rows in assignment]
        by_cost_alone = max(*costs, sum(costs) / num_workers + min(costs))  # the cheapest come last and fill gaps
        assert max(loads) <= 1.08 * by_cost_alone


def test_environments_of_a_task_go_to_few_workers() -> None:
    num_tasks, num_envs, num_workers = 10, 4, 4
    costs = [70.0 + 3 * task for task in range(num_tasks) for _ in range(num_envs)]
    tasks = [row // num_envs for row in range(num_tasks * num_envs)]
    assignment = balanced(costs, tasks, num_workers)
    homes = {(tasks[row], worker) for worker, rows in enumerate(assignment) for row in rows}
    assert len(homes) < num_tasks + num_workers  # a cut of the line of rows splits one task at most


def test_one_environment_of_each_task_goes_by_cost_alone() -> None:
    costs = [80.0, 89, 90, 86, 78, 84, 73, 95, 73, 81]
    loads = [sum(costs[row] for row in rows) for rows in balanced(costs, range(10), 4)]
    neighbours = sum(costs[-3:])
    assert max(loads) < neighbours
