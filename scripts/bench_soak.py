"""Whether a long run stays as it began, and whether a folder of many runs stays quick.

    python -m scripts.bench_soak [--minutes 30] [--runs 200] [--out FILE]

A small agent learns MT10's ten tasks in the real simulator, with everything that a run does again and again and much
more often: checkpoints and evaluations every few seconds, a log line every second. Memory, descriptors, threads and
processes of the whole process tree and the size of the run folder are sampled meanwhile; the table has a line fitted to
the second half of the samples, by the hour. Then `mtrl status` and `mtrl report` meet a folder of many copies of it.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from mtrl.report.table import markdown
from scripts.machine import machine_line

ROOT = Path(__file__).resolve().parents[1]
MTRL = [sys.executable, "-c", "import sys; from mtrl.cli.main import main; sys.exit(main())"]
RUN = """train configs/mt10/quick.yaml --name soak --device cpu --steps 1000000000 --env.num_envs_per_task 1
--env.horizon 50 --env.num_workers 1 --training.warmup_steps 1000 --training.compile false --training.precision float32
--training.threads 1 --training.batch_per_task 4 --training.updates_per_vector_step 1
--training.replay_capacity_per_task 2000 --training.log_every_steps 1000 --training.eval_every_steps 10000
--training.checkpoint_every_steps 5000 --agent.actor.width 32 --agent.critic.width 32 --agent.critic.depth 1
--evaluation.episodes 1 --evaluation.horizon 50"""
SAMPLE_S = 5.0
Sample = dict[str, float]
UNITS = {"resident": "MB", "descriptors": "", "threads": "", "processes": "", "checkpoints": "MB", "log": "MB"}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print two tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0, help="of training")
    parser.add_argument("--runs", type=int, default=200, help="in one folder")
    parser.add_argument("--out", type=Path, help="also write the tables here")
    options = parser.parse_args(arguments)
    if options.minutes <= 0 or options.runs < 1:
        parser.error(f"--minutes and --runs need to be positive, got {options.minutes} and {options.runs}")
    with tempfile.TemporaryDirectory() as temporary:
        runs = Path(temporary) / "runs"
        samples = list(soak(runs, 60 * options.minutes))
        text = f"{soak_table(samples)}\n\n{crowd_table(runs, options.runs)}\n\n{machine_line((), ())}"
    print(text)
    if options.out is not None:
        options.out.write_text(text + "\n")


def soak(runs: Path, seconds: float) -> Iterator[Sample]:
    """Samples of a training run from its first checkpoint on; it is interrupted in the end, as by Ctrl-C.

    Raises:
        RuntimeError: the run ended by itself, or not within a minute of its interruption.
    """
    words = [*MTRL, *RUN.split(), "--out", str(runs)]
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    folder, start = runs / "soak" / "seed_0", None
    try:
        while start is None or time.monotonic() - start < seconds:
            time.sleep(SAMPLE_S)
            if process.poll() is not None:
                raise RuntimeError(f"the run ended with status {process.returncode}: {process.communicate()[1]}")
            if start is None and any((folder / "checkpoints").glob("*.pt")):
                start = time.monotonic()
            if start is not None:
                sample = sampled(process.pid, folder, time.monotonic() - start)
                print(", ".join(f"{name} {value:,.1f}" for name, value in sample.items()), file=sys.stderr, flush=True)
                yield sample
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


def sampled(pid: int, folder: Path, at: float) -> Sample:
    """What the process, with all that it started, holds now."""
    tree = [pid, *descendants(pid)]
    page = os.sysconf("SC_PAGE_SIZE")
    resident = sum(int(Path(f"/proc/{one}/statm").read_text().split()[1]) * page for one in tree)
    checkpoints = [path.stat().st_size for path in (folder / "checkpoints").rglob("*") if path.exists()]
    return {
        "seconds": at,
        "resident": resident / 1e6,
        "descriptors": sum(len(os.listdir(f"/proc/{one}/fd")) for one in tree),
        "threads": sum(len(os.listdir(f"/proc/{one}/task")) for one in tree),
        "processes": len(tree),
        "checkpoints": sum(checkpoints) / 1e6,
        "log": (folder / "metrics.jsonl").stat().st_size / 1e6,
    }


def descendants(pid: int) -> list[int]:
    """Processes that a process started, and those that these started."""
    children = [
        int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
    ]
    return children + [below for child in children for below in descendants(child)]


def soak_table(samples: Sequence[Sample]) -> str:
    """Markdown: the first and last tenth, and the slope of the second half."""
    rows = []
    tenth, half = max(1, len(samples) // 10), samples[len(samples) // 2 :]
    hours = np.array([sample["seconds"] for sample in half]) / 3600
    for name, unit in UNITS.items():
        first, last = (np.mean([s[name] for s in part]) for part in (samples[:tenth], samples[-tenth:]))
        slope = np.polyfit(hours, [s[name] for s in half], 1)[0] if len(half) > 1 else np.nan
        rows.append([f"{name}{', ' + unit if unit else ''}", f"{first:,.1f}", f"{last:,.1f}", f"{slope:+,.2f}"])
    minutes = (samples[-1]["seconds"] - samples[0]["seconds"]) / 60
    found = markdown(["", "first tenth", "last tenth", "slope an hour"], rows)
    return f"{found}\n\n{len(samples)} samples over {minutes:.0f} minutes. The log grows by a line a second."


def crowd_table(runs: Path, count: int) -> str:
    """Markdown: seconds of a command for one run and for many, in one folder."""
    report = ["report", str(runs / "soak"), "--out", str(runs.parent / "report")]
    commands = {"status": ["status", str(runs)], "report (of one of them)": report}
    alone = {name: timed(words) for name, words in commands.items()}
    for number in range(1, count):
        shutil.copytree(runs / "soak", runs / f"soak{number}")
    rows = [[f"`mtrl {name}`", f"{alone[name]:.1f}", f"{timed(words):.1f}"] for name, words in commands.items()]
    return markdown(["command", "1 run, s", f"{count} runs, s"], rows)


def timed(words: Sequence[str]) -> float:
    """Seconds of a command, loading included."""
    start = time.monotonic()
    done = subprocess.run([*MTRL, *words], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"mtrl {' '.join(words)}: {done.stderr}")
    return time.monotonic() - start


if __name__ == "__main__":
    main()
