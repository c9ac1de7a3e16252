"""What a sweep costs beside its trials: the engines' start, a warm trial, throughput, recovery, the driver's memory.

    python -m scripts.bench_sweep [--engines local ray] [--trials 200] [--pairs 3] [--steps 4000]

Throughput is that of trials of the four analytic tasks, two at a time, against two processes that train the same
trials one after the other without a sweep; the three take turns. Recovery is from the death of a worker to the first
line that the next attempt writes, and holds the imports of a new process, which are given beside it.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from mtrl.agents.config import Config
from mtrl.agents.groups import train_and_evaluate
from mtrl.cli.trial import MARK, carry_out
from mtrl.runs.claim import attempts
from mtrl.sweep import Ended, Engine, How, Order, Result, SweepFile, Trial, drive, trials
from mtrl.sweep.local import LocalEngine
from scripts.machine import machine_line

_AT_ONCE = 2
_NETWORK = {"kind": "mlp", "width": 16, "depth": 1}
_TRAINING = {"warmup_steps": 160, "updates_per_vector_step": 1, "batch_per_task": 8, "precision": "float32"}
_TREE = {
    "env": {"tasks": "Points", "horizon": 20, "num_envs_per_task": 2, "num_workers": 1},
    "agent": {"actor": _NETWORK, "critic": _NETWORK, "num_atoms": 21},
    "training": _TRAINING | {"replay_capacity_per_task": 1000, "log_every_steps": 800},
    "evaluation": {"episodes": 2, "horizon": 20},
}


class Figures(NamedTuple):
    """What an engine costs."""

    start_s: float
    """Until it takes orders."""
    warm_trial_s: float
    """A trial that does nothing, in a process that has served one before."""
    recovery_s: float
    memory_bytes: int
    """Of this process, with the orders waiting."""


class Quiet:
    """A listener that only looks after what it is told to do."""

    def __init__(self, looks: Callable[[], None] = lambda: None) -> None:
        self.look = looks

    def begun(self, trial: Trial) -> None:
        pass

    def ended(self, trial: Trial, ended: Ended, again: bool) -> None:
        pass

    def note(self, text: str) -> None:
        pass


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--engines", nargs="+", choices=("local", "ray"), default=["local", "ray"])
    parser.add_argument("--trials", type=int, default=200, help="that do nothing")
    parser.add_argument("--queued", type=int, default=1000, help="trials, for the driver's memory")
    parser.add_argument("--pairs", type=int, default=3, help="rounds of the throughput")
    parser.add_argument("--steps", type=int, default=4000, help="of a trial of the throughput")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    figures = {}
    for name in options.engines:
        figures[name] = measure(name, options.trials, options.queued)
        print(name, figures[name], file=sys.stderr, flush=True)
    rounds = []
    for _ in range(options.pairs):
        rounds.append(throughput(options.engines, options.steps))
        print(rounds[-1], file=sys.stderr, flush=True)
    print("| engine | start, s | warm trial, s | recovery, s | throughput | driver, MB |")
    print("|---|---:|---:|---:|---:|---:|")
    for name, (start, warm, recovery, memory) in figures.items():
        share = float(np.median([times["alone"] / times[name] for times in rounds]))
        print(f"| {name} | {start:.1f} | {warm:.4f} | {recovery:.1f} | {share:.0%} | {memory / 1e6:.0f} |")
    print(f"\nThe imports of a process: {imports_s():.1f} s. Throughput: two processes without a sweep are 100%.")
    print(machine_line({"ray"} if "ray" in options.engines else set(), ["cpu"]))


def make_engine(name: str, work: Callable[[Order], Ended]) -> Engine:
    """The engine of that name, two trials at a time."""
    if name == "local":
        return LocalEngine(work, _AT_ONCE)
    from mtrl.sweep.on_ray import RayEngine

    return RayEngine(work, None, cpus=1, gpus=0, memory=0, at_once=_AT_ONCE)


def nothing(order: Order) -> Ended:
    """The work of a trial that costs nothing."""
    return Ended(How.FINISHED)


def found(folder: Path, seeds: int, steps: int = 4000, name: str = "s") -> list[Trial]:
    """Trials of one run, a seed each."""
    file = SweepFile(name=name, base="points", methods=("mean",), seeds=seeds)
    tree = _TREE | {"steps": steps, "method": {"name": "mean"}, "out": str(folder / name), "name": "mean"}
    return trials(file, folder, lambda given: Config.model_validate(tree))


def driven(due: Sequence[Trial], engine: Engine, looks: Callable[[], None] = lambda: None) -> Result:
    """Has an engine carry trials out; each must be finished."""
    root = due[0].config.folder.parent
    root.mkdir(parents=True, exist_ok=True)
    (root / MARK).write_text("bench")
    orders = [Order(trial, "all", cpus=1, root=root, mark="bench") for trial in due]
    result = drive(orders, engine, [], Quiet(looks), retries=3)
    assert not result.failed, result.failed[0]
    assert not result.halted, result.halted
    return result


def measure(name: str, num_trials: int, queued: int) -> Figures:
    """All of an engine but its throughput."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        began = time.monotonic()
        engine = make_engine(name, nothing)
        start_s = time.monotonic() - began
        try:
            driven(found(folder, 2 * _AT_ONCE, name="first"), engine)
            began = time.monotonic()
            driven(found(folder, num_trials, name="warm"), engine)
            warm_s = (time.monotonic() - began) / num_trials
            most = [0]
            driven(found(folder, queued, name="queued"), engine, lambda: most.append(max(most.pop(), resident())))
        finally:
            engine.close()
        return Figures(start_s, warm_s, recovery(name, folder), max(most[0], resident()))


def recovery(name: str, folder: Path) -> float:
    """Seconds from a worker's death to the next attempt's first line."""
    due = found(folder, 1, steps=20_000, name="killed")
    (run,) = due[0].folders.values()
    killed, back = [0.0], [0.0]

    def look() -> None:
        if not killed[0] and list((run / "checkpoints").glob("*.pt")):
            os.kill(int((run / "lock").read_text().split()[0]), signal.SIGKILL)
            killed[0] = time.monotonic()
        if not back[0] and attempts(run) == 2 and (run / "log.txt").read_text().count("attempt 2"):
            back[0] = time.monotonic()

    config = due[0].config
    assert isinstance(config, Config)
    settings = config.training.model_copy(update={"checkpoint_every_steps": 400})
    due = [Trial(config.model_copy(update={"training": settings}))]
    engine = make_engine(name, carry_out)
    try:
        driven(due, engine, look)
    finally:
        engine.close()
    return back[0] - killed[0]


def throughput(engines: Sequence[str], steps: int) -> dict[str, float]:
    """Seconds for the same trials, by each engine and `alone`; what starts them is not counted."""
    count, times = 4 * _AT_ONCE, {}
    for name in engines:
        with tempfile.TemporaryDirectory() as place:
            engine = make_engine(name, carry_out)
            try:
                driven(found(Path(place), _AT_ONCE, 400, "warm"), engine)
                began = time.monotonic()
                driven(found(Path(place), count, steps), engine)
                times[name] = time.monotonic() - began
            finally:
                engine.close()
    with tempfile.TemporaryDirectory() as place:
        code = f"from scripts.bench_sweep import alone; alone({place!r}, {count}, {steps}, %d)"
        words = [[sys.executable, "-c", code % index] for index in range(_AT_ONCE)]
        processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in words]
        times["alone"] = max(float(process.communicate()[0]) for process in processes)
    return times


def alone(place: str, count: int, steps: int, index: int) -> None:
    """Trains every second trial, one after the other, and prints the seconds, those of the first short one left out."""
    for trial in found(Path(place), 1, 400, f"warm{index}"):
        _train(trial)
    began = time.monotonic()
    for trial in found(Path(place), count, steps)[index::_AT_ONCE]:
        _train(trial)
    print(time.monotonic() - began)


def _train(trial: Trial) -> None:
    assert isinstance(trial.config, Config)
    train_and_evaluate(trial.config, trial.folders, False, 1, lambda event, seed: None)


def imports_s() -> float:
    """Seconds of what a worker imports."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", "import mtrl.cli.trial"], check=True)
    return time.monotonic() - began


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
