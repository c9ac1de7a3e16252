"""Sweeps on real Ray: whatever is killed, stopped or cut off, the results are those of undisturbed runs."""

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mtrl.cli.main import main
from mtrl.runs.claim import attempts
from scripts.ray_cluster import ENVIRONMENT, begin_node, local_cluster
from tests.cli.running import LIMIT_S, Running, until
from tests.sweep.conftest import Start
from tests.sweep.small_sweeps import LONG, Undisturbed, assert_equal_bits, folder, holder, steps, write_sweep

os.environ |= ENVIRONMENT
pytest.importorskip("ray")
pytestmark = pytest.mark.alone

ON_RAY = "--engine", "ray"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A head of one core, which takes a node for lost that does not answer for half a minute."""
    health = {"initial_delay_ms": 1000, "period_ms": 1000, "timeout_ms": 10_000, "failure_threshold": 3}
    with local_cluster({f"health_check_{name}": value for name, value in health.items()}) as found:
        yield found


def begun(start: Start, path: Path, is_begun: Callable[[], Any]) -> Running:
    """The sweep on a Ray of its own, once that is so; begun again where Ray could not be started within its 30 s."""
    running = start(path, *ON_RAY)
    until(lambda: is_begun() or running.process.poll() is not None)
    if is_begun():
        return running
    status, _, err = running.ended()
    assert status == 2, err
    assert err[0].startswith("mtrl sweep: error: Ray could not be started on this machine"), err
    return begun(start, path, is_begun)


def raylet(node: Any) -> int:
    """The process that stands for a node."""
    ((process,),) = [found for kind, found in node.all_processes.items() if kind == "raylet"]
    pid: int = process.process.pid
    return pid


def trained_on(node: Any, run: Path) -> bool:
    """Whether the process that trains in a run folder is a child of a node's raylet."""
    status = Path(f"/proc/{holder(run)}/status").read_text()
    return f"PPid:\t{raylet(node)}\n" in status


def assert_all_equal(path: Path, undisturbed: Undisturbed, seeds: int = 1) -> None:
    for method in ("mean", "pcgrad"):
        for seed in range(seeds):
            assert_equal_bits(folder(path, method, seed), undisturbed(path, method, seed))


def test_four_trials_a_worker_killed_the_driver_killed_and_the_same_command_goes_on(
    tmp_path: Path, start: Start, undisturbed: Undisturbed
) -> None:
    path = write_sweep(tmp_path, LONG)
    mean, pcgrad = folder(path, "mean", 0), folder(path, "pcgrad", 0)
    last = folder(path, "pcgrad", 1)
    running = begun(start, path, lambda: steps(mean) > 0)
    os.kill(holder(mean), signal.SIGKILL)
    until(lambda: attempts(mean) == 2)
    until(lambda: steps(pcgrad) > 0)
    # The driver is killed: its cluster ends with it.
    running.process.kill()
    until(lambda: running.processes() <= {running.process.pid})
    before = attempts(pcgrad), attempts(last)
    done = begun(start, path, lambda: (attempts(pcgrad), attempts(last)) != before)
    status, out, err = done.ended()
    assert (status, err) == (0, [])
    assert out[-1] == f"Runs:   {tmp_path / 'runs' / 's'}"
    until(lambda: not done.processes())
    assert_all_equal(path, undisturbed, seeds=2)
    assert main(["sweep", str(path), "--out", str(tmp_path / "runs")]) == 0  # nothing is left for the other engine


def test_ctrl_c_writes_checkpoints_and_one_that_fails_by_itself_fails_alone(
    tmp_path: Path, start: Start, undisturbed: Undisturbed
) -> None:
    variants = {"good": {}, "nan": {"agent.learning_rate": 1e30}}
    path = write_sweep(tmp_path, LONG, methods=["mean"], seeds=1, variants=variants)
    good, broken = folder(path, "mean-good", 0), folder(path, "mean-nan", 0)
    running = begun(start, path, (broken / "failure.json").exists)
    until(lambda: steps(good) > 0)
    os.killpg(running.process.pid, signal.SIGINT)
    status, out, err = running.ended()
    assert status == 130
    assert "s: mean-good/seed_0: interrupted" in out
    assert next(line for line in err if "error" in line).startswith(
        "mtrl sweep: error: mean-nan/seed_0: the actor loss of task PointEast-v0, seed 0, is not"
    )
    until(lambda: not running.processes())
    assert (attempts(good), attempts(broken)) == (1, 1)
    assert main(["sweep", str(path), "--out", str(tmp_path / "runs"), "--jobs", "1"]) == 1  # on the other engine
    assert_equal_bits(good, undisturbed(path, "mean", 0))


@pytest.mark.parametrize("how", ["lost", "cut off"])
def test_a_node_is_lost(tmp_path: Path, start: Start, cluster: Any, undisturbed: Undisturbed, how: str) -> None:
    """Killed with all its processes; or frozen, until its worker wakes up while another one trains."""
    node = begin_node(cluster)
    path = write_sweep(tmp_path, LONG, seeds=1)
    runs = [folder(path, method, 0) for method in ("mean", "pcgrad")]
    running = start(path, *ON_RAY, "--address", cluster.address)
    until(lambda: all(steps(run) > 0 for run in runs))
    (run,) = [run for run in runs if trained_on(node, run)]
    worker = holder(run)
    if how == "lost":
        cluster.remove_node(node, allow_graceful=False)
        until(lambda: attempts(run) == 2)
    else:
        for process in (raylet(node), worker):
            os.kill(process, signal.SIGSTOP)
        until(lambda: attempts(run) == 2)
        assert holder(run) == worker  # the lock is still its own: the other one waits
        os.kill(worker, signal.SIGCONT)
        until(lambda: holder(run) != worker)
        cluster.remove_node(node, allow_graceful=False)  # a frozen node does not answer when it is asked to go
    status, out, err = running.ended()
    assert (status, err) == (0, [])
    assert any(f"{run.parent.name}/seed_0: died: " in line for line in out)
    assert_all_equal(path, undisturbed)


def test_the_head_is_lost(tmp_path: Path, start: Start, cluster: Any, undisturbed: Undisturbed) -> None:
    """The command ends, and the same one goes on without it."""
    path = write_sweep(tmp_path, LONG, methods=["mean"], seeds=1)
    run = folder(path, "mean", 0)
    env = {"RAY_gcs_rpc_server_reconnect_timeout_s": "5"}  # 60, else
    running = start(path, *ON_RAY, "--address", cluster.address, env=env)
    until(lambda: steps(run) > 0)
    cluster.remove_node(cluster.head_node, allow_graceful=False)
    status, _, _ = running.ended()
    assert status != 0
    assert not (run / "evaluation.json").exists()
    assert main(["sweep", str(path), "--out", str(tmp_path / "runs"), "--jobs", "1"]) == 0
    assert_equal_bits(run, undisturbed(path, "mean", 0))


def test_no_cluster_there_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_sweep(tmp_path)
    assert main(["sweep", str(path), "--out", str(tmp_path), *ON_RAY, "--address", "127.0.0.1:1"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("mtrl sweep: error: there is no Ray cluster at 127.0.0.1:1: ")


def test_the_script_for_slurm(tmp_path: Path, undisturbed: Undisturbed) -> None:
    """Under a scheduler that has one node, this machine."""
    path, commands = write_sweep(tmp_path, methods=["mean"], seeds=1), tmp_path / "bin"
    commands.mkdir()
    scheduler = {
        "scontrol": 'test "$1 $2 $3" = "show hostnames this-machine" && echo 127.0.0.1',
        "srun": 'while [[ "$1" == --* ]]; do shift; done; exec "$@"',
    }
    for name, text in scheduler.items():
        (commands / name).write_text(f"#!/usr/bin/env bash\n{text}\n")
        (commands / name).chmod(0o755)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    job = {"SLURM_JOB_NODELIST": "this-machine", "SLURM_JOB_NUM_NODES": "1", "SLURM_CPUS_PER_TASK": "2"}
    words = ["bash", str(ROOT / "scripts/slurm_sweep.sh"), str(path), "--out", str(tmp_path / "runs")]
    env = os.environ | job | {"RAY_PORT": port, "PATH": f"{commands}:{os.environ['PATH']}"}
    for _ in range(5):
        done = subprocess.run(words, check=False, env=env, capture_output=True, text=True, timeout=LIMIT_S)
        if "timed out during startup" not in done.stdout + done.stderr:
            break
    assert done.returncode == 0, done.stderr
    assert "s: 1 trials to do, a Ray cluster of 1 node, 2 at once" in done.stdout
    assert_equal_bits(folder(path, "mean", 0), undisturbed(path, "mean", 0))
