"""What goes wrong: workers killed at any moment, interruptions, bad actions. Nothing hangs, nothing is left over."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mtrl import envs
from mtrl.envs import factory
from mtrl.envs.interface import SimulatorInfo
from mtrl.envs.options import Options
from mtrl.envs.workers.plan import Plan, Share
from mtrl.envs.workers.vector_env import WorkerEnv
from tests.envs import registered_tasks

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

TASKS = {"metaworld": ["reach-v3", "push-v3"], "gymnasium": ["CustomReach-v0", "CustomPush-v0"]}
assert callable(registered_tasks.CustomReach)  # registered with the import


def _children() -> set[int]:
    """Process ids of this process's children, zombies aside."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = entry.read_text().rsplit(")", 1)[1].split()[:2]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(parent) == os.getpid() and state != "Z":
            found.add(int(entry.parent.name))
    return found


@pytest.fixture(autouse=True)
def no_orphans() -> Iterator[None]:
    before = _children()
    yield
    assert _children() <= before


@pytest.fixture(params=TASKS)
def env(request: pytest.FixtureRequest) -> Iterator[WorkerEnv]:
    made = envs.make(TASKS[request.param], num_workers=2, horizon=20)
    assert isinstance(made, WorkerEnv)
    yield made
    made.close()


def _zeros(env: WorkerEnv) -> np.ndarray:
    return np.zeros((2, 1, env.action_size))


def _killed(env: WorkerEnv, number: int) -> str:
    """Kill a worker; its task, as the message has it."""
    name = env._workers[number]._names
    os.kill(env.worker_pids()[number], signal.SIGKILL)
    return f"the simulator process of {name} was killed by signal 9"


def test_worker_finishes_its_step_when_all_processes_are_told_to_end(env: WorkerEnv) -> None:
    """As a cluster does with those of a job: what they compute is needed for the last checkpoint."""
    env.reset()
    for stop in (signal.SIGSTOP, signal.SIGTERM, signal.SIGCONT):
        for pid in env.worker_pids():
            os.kill(pid, stop)
        if stop == signal.SIGSTOP:
            env.send(_zeros(env))
    env.recv()


@pytest.mark.parametrize("number", [0, 1])
def test_worker_killed_while_it_steps(env: WorkerEnv, number: int) -> None:
    env.reset()
    os.kill(env.worker_pids()[number], signal.SIGSTOP)  # so that it cannot have answered
    env.send(_zeros(env))
    message = _killed(env, number)
    with pytest.raises(RuntimeError, match=message):
        env.recv()
    with pytest.raises(RuntimeError, match="after close"):
        env.recv()


@pytest.mark.parametrize("number", [0, 1])
def test_worker_killed_before_any_call(env: WorkerEnv, number: int) -> None:
    message = _killed(env, number)
    with pytest.raises(RuntimeError, match=message):
        env.reset()
    with pytest.raises(RuntimeError, match="after close"):
        env.step(_zeros(env))


def test_worker_killed_before_a_state_is_loaded(env: WorkerEnv) -> None:
    env.reset()
    env.step(_zeros(env))
    state = env.state_dict()
    message = _killed(env, 1)
    with pytest.raises(RuntimeError, match=message):
        env.load_state_dict(state)


def test_worker_killed_before_close(env: WorkerEnv) -> None:
    env.reset()
    _killed(env, 0)
    env.close()
    env.close()


@pytest.mark.parametrize(("worker", "end"), [("no.such.module", "exit code 1"), ("os", "exit code 1")])
def test_worker_that_does_not_start(worker: str, end: str, capfd: pytest.CaptureFixture[str]) -> None:
    options = Options(("reach-v3", "push-v3"), horizon=5)
    shares = [Share(name, {"rows": [row]}) for row, name in enumerate(options.names)]
    plan = Plan(SimulatorInfo("none", {}, "", ""), worker, shares, 3, 2, start=lambda *place: 0, make=factory.made)
    with pytest.raises(RuntimeError, match=f"the simulator process of (reach|push)-v3 ended with {end}"):
        WorkerEnv(options, plan)
    assert "Error" in capfd.readouterr().err  # the worker's own words


def test_actions_name_task_and_environment() -> None:
    with envs.make(TASKS["gymnasium"], num_envs_per_task=3) as env:
        env.reset()
        for shape in ((2, 3), (6, 2), (2, 3, 4), (3, 2, 2), ()):
            with pytest.raises(ValueError, match=r"actions must have the shape .* = \(2, 3, 2\), got"):
                env.send(np.zeros(shape))
        for value in (np.nan, -np.inf):
            actions = np.zeros((2, 3, 2))
            actions[1, 2, 0] = value
            with pytest.raises(ValueError, match=rf"finite, got {value} for CustomPush-v0 \(environment 2\)"):
                env.send(actions)
        assert (env.step(np.zeros((2, 3, 2))).episode_length == 1).all()  # a refused action is no step


def test_interrupted_wait_goes_on(env: WorkerEnv) -> None:
    """Ctrl-C while a step is under way: the step can still be fetched, and is what it would have been."""
    with envs.make(list(env.tasks), horizon=20) as beside:
        beside.reset()
        expected = [beside.step(_zeros(env)) for _ in range(3)]
    env.reset()
    env.step(_zeros(env))
    pid = env.worker_pids()[0]
    os.kill(pid, signal.SIGSTOP)
    env.send(_zeros(env))
    signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        env.recv()
    assert time.monotonic() - started >= 0.15
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    os.kill(pid, signal.SIGCONT)
    for one, step in zip((env.recv(), env.step(_zeros(env))), expected[1:], strict=True):
        for name, a, b in zip(envs.Step._fields, one, step, strict=True):
            np.testing.assert_array_equal(a, b, err_msg=name)
