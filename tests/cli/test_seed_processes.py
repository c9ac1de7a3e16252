"""Seeds as processes of their own: their groups, one Ctrl-C for all, and what happens when one fails or is killed."""

import os
import re
import shlex
import signal
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import Pipe
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import torch

from mtrl.agents import Config, train
from mtrl.agents.groups import Grouping, grouping, needed_memory
from mtrl.cli.arguments import load_config
from mtrl.cli.audience import End
from mtrl.cli.group_process import GroupProcesses, _Running
from mtrl.cli.main import main
from mtrl.cores import available_cores
from mtrl.runs import checkpoint
from mtrl.runs.errors import UserError
from mtrl.runs.identity import identity
from mtrl.runs.lock import is_locked
from tests.cli.conftest import POINTS
from tests.cli.running import Running, until
from tests.sweep.small_sweeps import holder

FAR = 10_000_000  # steps: it will not get there


@pytest.mark.parametrize(
    ("seeds", "device", "cores", "settings", "expected"),
    [
        ((0, 1, 2), "cpu", 4, {}, Grouping(((0,), (1,), (2,)), 3, 1)),
        ((0, 1, 2), "cpu", 2, {}, Grouping(((0,), (1,), (2,)), 2, 1)),
        ((0, 1), "cpu", 9, {}, Grouping(((0,), (1,)), 2, 4)),
        ((0, 1), "cpu", 1, {}, Grouping(((0,), (1,)), 1, 1)),
        ((0, 1, 2), "cpu", 8, {"threads": 4}, Grouping(((0,), (1,), (2,)), 2, 4)),
        ((5,), "cpu", 8, {}, Grouping(((5,),), 1, None)),
        ((0, 1, 2), "cuda", 8, {}, Grouping(((0, 1, 2),), 1, None)),
        ((0, 1, 2), "cpu", 8, {"seeds_at_once": 2}, Grouping(((0, 1), (2,)), 1, None)),
        ((0, 1, 2), "cuda", 8, {"seeds_at_once": 1}, Grouping(((0,), (1,), (2,)), 1, None)),
    ],
)
def test_grouping(
    seeds: tuple[int, ...], device: str, cores: int, settings: dict[str, int], expected: Grouping
) -> None:
    config = Config.model_validate({"seeds": seeds, "training": settings})
    assert grouping(config, torch.device(device), cores) == expected


def test_no_more_processes_than_memory_lasts_for() -> None:
    """MT10's rows hold 47 numbers, 85 in a checkpoint, which is written from a copy."""
    config = Config.model_validate({"seeds": (0, 1, 2), "training": {"replay_capacity_per_task": 100_000}})
    needed = needed_memory(config)
    assert needed == 2**30 + 10 * 100_000 * (47 + 85) * 4
    for memory, at_once in ((3 * needed, 3), (3 * needed - 1, 2), (needed // 2, 1)):
        assert grouping(config, torch.device("cpu"), 8, memory).at_once == at_once
    short = config.model_copy(update={"steps": 10_000})
    assert needed_memory(short) == 2**30 + 10_000 * (47 + 85) * 4


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A configuration whose seeds are processes."""
    path = tmp_path / "points.yaml"
    path.write_text(POINTS.replace("seeds_at_once: 9", "seeds_at_once: 0"))
    return path


def command(path: Path, words: str, steps: int) -> list[str]:
    return ["train", str(path), *shlex.split(f"--out {path.parent} --name a --steps {steps} {words}")]


@pytest.fixture
def start(path: Path) -> Iterator[Callable[..., Running]]:
    if available_cores() < 2:
        pytest.skip("on one core, seeds train one after the other")
    started: list[Running] = []

    def begin(words: str, steps: int = FAR) -> Running:
        started.append(Running(command(path, words, steps)))
        return started[-1]

    yield begin
    for running in started:
        running.end()


def learns(folder: Path) -> bool:
    """Whether a run has logged something after its warm-up."""
    metrics = folder / "metrics.jsonl"
    return metrics.exists() and '"loss"' in metrics.read_text()


def folders(path: Path, seeds: Sequence[int] = (0, 1)) -> dict[int, Path]:
    return {seed: path.parent / "a" / f"seed_{seed}" for seed in seeds}


def state(folder: Path) -> dict[str, Any]:
    return checkpoint.load_newest(folder / "checkpoints")


def assert_equal_bits(one: dict[str, Any], other: dict[str, Any]) -> None:
    tensors = [
        [t for part in run["agent"]["parameters"].values() for t in part] + run["replay"]["rows"]
        for run in (one, other)
    ]
    assert all(torch.equal(a, b) for a, b in zip(*tensors, strict=True))


def test_ctrl_c_stops_all_and_the_same_command_goes_on_bit_for_bit(
    path: Path, start: Callable[..., Running], capfd: pytest.CaptureFixture[str]
) -> None:
    running = start("--seeds 0 1")
    until(lambda: all(learns(folder) for folder in folders(path).values()))
    os.killpg(running.process.pid, signal.SIGINT)
    status, out, err = running.ended()
    assert (status, err) == (130, [])
    assert not running.processes()
    assert "a/seeds 0 1: 2 processes at once, with 1 thread each" in out
    assert "a/seed_1: warm-up with random actions" in out
    assert out[-1] == f"Interrupted. To go on: mtrl {shlex.join(command(path, '--seeds 0 1 --resume', FAR))}"
    stopped = {seed: state(folder)["step"] for seed, folder in folders(path).items()}
    assert min(stopped.values()) >= 320

    steps = max(stopped.values()) + 160
    assert main(command(path, "--seeds 0 1 --resume", steps)) == 0
    assert {p.name for p in folders(path)[1].iterdir()} >= {
        "config.yaml",
        "metrics.jsonl",
        "evaluation.json",
        "checkpoints",
    }
    assert (path.parent / "a" / "report" / "success.csv").exists()
    assert "a/seed_1: evaluating" in capfd.readouterr().out.splitlines()
    config = load_config(path, Config).model_copy(update={"steps": steps})
    straight = path.parent / "straight"
    train(config, {1: straight}, cores=1)
    assert_equal_bits(state(straight), state(folders(path)[1]))

    # As one process they go on from there, which may be chosen anew.
    assert main(command(path, "--seeds 0 1 --resume --training.seeds_at_once 2", steps + 160)) == 0
    assert "a/seeds 0 1: warm-up with random actions" not in capfd.readouterr().out
    assert {state(folder)["step"] >= steps + 160 for folder in folders(path).values()} == {True}


def test_a_killed_process_is_one_line_and_sigterm_to_the_command_alone_stops_the_others(
    path: Path, start: Callable[..., Running]
) -> None:
    running = start("--seeds 0 1")
    until(lambda: all(learns(folder) for folder in folders(path).values()))
    os.kill(holder(folders(path)[1]), signal.SIGKILL)
    until(lambda: is_locked(folders(path)[1]) is False)
    before = len((folders(path)[0] / "metrics.jsonl").read_text())
    until(lambda: len((folders(path)[0] / "metrics.jsonl").read_text()) > before)  # the other goes on
    running.process.terminate()
    status, out, err = running.ended()
    assert status == 130
    assert not running.processes()
    line = "its process was killed by signal 9, perhaps for want of memory; --resume goes on from its last checkpoint"
    assert err == [f"mtrl train: error: seed 1: {line}"]
    assert f"a/seed_1: failed: {line}" in out
    assert re.fullmatch(r"Interrupted\. To go on: mtrl train .* --seeds 0 1 --resume", out[-1])
    assert state(folders(path)[0])["step"] >= 320


def test_no_process_outlives_a_command_that_is_killed(path: Path, start: Callable[..., Running]) -> None:
    running = start("--seeds 0 1")
    until(lambda: all(learns(folder) for folder in folders(path).values()))
    assert len(running.processes()) >= 5  # itself, two learners, two simulators
    running.process.kill()
    until(lambda: running.processes() <= {running.process.pid})  # itself, until it is waited for


def test_the_others_go_on_when_one_seed_fails(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Begun side by side; then one seed's networks hold a NaN."""
    config = load_config(path, Config).model_copy(update={"steps": 480, "name": "a", "out": str(path.parent)})
    train(config, folders(path, (0, 1, 2)))
    broken = state(folders(path)[1])
    broken["agent"]["parameters"]["critic"][0].fill_(torch.nan)
    checkpoint.save(folders(path)[1] / "checkpoints", broken["step"], broken, identity(config, 1))
    assert main(command(path, "--seeds 0 1 2 --resume", 960)) == 2
    captured = capfd.readouterr()
    (line,) = (line for line in captured.err.splitlines() if "error" in line)
    assert re.fullmatch(r"mtrl train: error: seed 1: .*holds no state .*: critic has numbers that are not finite", line)
    for seed in (0, 2):
        assert (folders(path, (0, 1, 2))[seed] / "evaluation.json").exists()
    assert not (folders(path)[1] / "evaluation.json").exists()
    assert (path.parent / "a" / "report" / "success.csv").exists()


def test_a_seed_whose_tracked_run_cannot_begin_fails_alone(tmp_path: Path) -> None:
    """It is asked to write a checkpoint, and what it says until it has is not heard."""
    audience = Mock()
    audience.tell.side_effect = UserError("--track mlflow: no route")
    processes = GroupProcesses(Config(), {0: tmp_path}, False, Grouping(((0,),), 1, 1), audience)
    ours, theirs = Pipe(duplex=False)
    running = processes._running[ours] = _Running((0,), Mock())
    for message in (({"kind": "start"}, 0), ({"kind": "note", "text": "more"}, 0), End(finished=False)):
        theirs.send(message)
        processes._receive(ours, asked=False)
    theirs.close()
    processes._receive(ours, asked=False)
    running.process.terminate.assert_called_once_with()  # type: ignore[attr-defined]
    audience.ended.assert_called_once_with((0,), End(finished=False, failure="--track mlflow: no route"))
    assert not processes._running


def test_a_process_that_a_signal_to_all_ends_as_it_begins_was_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cluster tells all processes of a job to end, and a seed's may go before this one has told it so."""
    stop: list[int] = []

    def wait(connections: list[Any], timeout: float) -> list[Any]:
        stop.append(signal.SIGTERM)
        return connections

    begun = Mock(return_value=Mock(exitcode=-signal.SIGTERM))
    monkeypatch.setattr("mtrl.cli.group_process.start_child", begun)
    monkeypatch.setattr("mtrl.cli.group_process.wait", wait)
    audience = Mock()
    GroupProcesses(Config(), {0: tmp_path}, False, Grouping(((0,),), 1, 1), audience).run(stop)
    audience.ended.assert_called_once_with((0,), End(finished=False))
