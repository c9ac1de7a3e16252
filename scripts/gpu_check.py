"""The steps of gpu_check.sh: tests on the device, the learner's speed, a training run; each with a share of the time.

What comes out lies in one folder of a few small files: `summary.md` (what passed, how long each step took, the tables),
`tests.txt`, `learner.json`, `train.txt`, `metrics.jsonl`, `curve.png`, `success.csv`.
"""

import argparse
import datetime
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[1]
METHODS = ("mean", "nash_mtl", "pcgrad", "cagrad")
BENCHES = [("graphs", 1), ("eager", 1), ("graphs", 5), ("eager", 5), ("compiled", 1), ("compiled", 5)]
"""How the update runs and for how many seeds side by side: what matters most first, for time may end."""
MTRL = [sys.executable, "-c", "import sys; from mtrl.cli.main import main; sys.exit(main())"]
SMOKE_TRAIN = (
    "--env.tasks reach-v3 push-v3 --steps 180 --env.num_envs_per_task 1 --env.num_workers 1 --env.horizon 15 "
    "--training.warmup_steps 60 --training.compile false --training.updates_per_vector_step 1 "
    "--training.batch_per_task 4 --training.log_every_steps 60 --training.eval_every_steps 60 "
    "--training.eval_episodes 1 --training.threads 1 "
    "--agent.actor.width 16 --agent.critic.width 16 --evaluation.episodes 1 --evaluation.horizon 10 "
    "--training.replay_capacity_per_task 1000"
)
WRITING_S = 25
"""Kept for the report after the training."""


@dataclass
class Check:
    """One run of the whole, and what it has found so far."""

    device: str
    out: Path
    smoke: bool
    deadline: float
    lines: list[str] = field(default_factory=list)
    failed: bool = False

    def left(self) -> float:
        """Seconds until the time is up."""
        return self.deadline - time.monotonic()

    def say(self, text: str) -> None:
        """Adds to the summary, which is on the disk at once."""
        self.lines.append(text)
        (self.out / "summary.md").write_text("\n".join(self.lines) + "\n")
        print(text, flush=True)

    def run(self, name: str, words: Sequence[str | Path], log: str, limit_s: float, **environment: str) -> bool:
        """A step in a process of its own, interrupted when its time is up; whether it ended well by itself."""
        start = time.monotonic()
        with (self.out / log).open("a") as file:
            process = subprocess.Popen(
                [str(word) for word in words],
                cwd=ROOT,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=os.environ | environment,
                start_new_session=True,
            )
            try:
                status: int | None = process.wait(max(1.0, limit_s))
            except subprocess.TimeoutExpired:
                status = None
                end(process)
        what = "cut off" if status is None else "passed" if status == 0 else f"FAILED with status {status}, see {log}"
        self.failed |= bool(status)
        self.say(f"- {name}: {what}, {time.monotonic() - start:.0f} s")
        return status == 0


def main() -> int:
    """All steps; 1 if one of them failed."""
    parser = argparse.ArgumentParser("gpu_check.sh", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--minutes", type=float, default=9.0, help="for all of it; 9 by default")
    parser.add_argument("--out", type=Path, default=ROOT / "gpu-check", help="a new folder; gpu-check by default")
    parser.add_argument("--smoke", action="store_true", help="the smallest of everything, to try the script out")
    options = parser.parse_args()
    if options.device != "cpu" and not torch.cuda.is_available():
        sys.exit(f"gpu_check: --device {options.device} needs a GPU, torch {torch.__version__} sees none")
    if options.out.exists() and any(options.out.iterdir()):
        sys.exit(f"gpu_check: {options.out} is not empty: choose another --out")
    options.out.mkdir(parents=True, exist_ok=True)
    check = Check(options.device, options.out, options.smoke, time.monotonic() + 60 * options.minutes)
    name = torch.cuda.get_device_name() if options.device != "cpu" else "CPU"
    check.say(f"# {name}, torch {torch.__version__}, Python {sys.version.split()[0]}, {datetime.date.today()}\n")
    tests(check)
    benchmarks(check)
    training(check)
    check.say(f"\n{'FAILED' if check.failed else 'passed'}, {-check.left() / 60 + options.minutes:.1f} minutes")
    return 1 if check.failed else 0


def tests(check: Check) -> None:
    """Runs the tests that need the device."""
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/device"]
    words += ["-k", "mean or nash"] if check.smoke else []
    passed = check.run("tests on the device", words, "tests.txt", check.left() / 4, MTRL_TEST_DEVICE=check.device)
    check.failed |= not passed  # cut off, they say nothing; of the other steps there is what they got to


def benchmarks(check: Check) -> None:
    """Updates a second; the compiled ones are compiled first, all at once, into the cache on the disk."""
    until = time.monotonic() + check.left() / 2
    compiled = [] if check.smoke or check.device == "cpu" else [b for b in BENCHES if b[0] != "eager"]
    processes = [
        subprocess.Popen(
            bench(check, *job, rounds=1),
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        for job in compiled
    ]
    for process in processes:
        try:
            process.wait(max(1.0, (until - time.monotonic()) / 2))
        except subprocess.TimeoutExpired:
            end(process)
    rows: list[dict[str, object]] = []
    for mode, seeds in [("eager", 1)] if check.smoke else BENCHES:
        if mode == "graphs" and check.device == "cpu":
            continue
        part = check.out / "part.json"
        words: list[str | Path] = [*bench(check, mode, seeds, rounds=1 if check.smoke else 5), "--json", part]
        check.run(f"updates, {mode}, seeds {seeds}", words, "learner.txt", until - time.monotonic())
        if part.exists():
            rows += [row | {"mode": mode} for row in json.loads(part.read_text())]
            part.unlink()
            (check.out / "learner.json").write_text(json.dumps(rows, indent=1) + "\n")
    check.say("\n| update | seeds | network | method | updates/s | times plain |\n|---|---:|---|---|---:|---:|")
    for row in rows:
        check.say(
            f"| {row['mode']} | {row['num_seeds']} | {row['network']}, {row['precision']} | {row['method']} "
            f"| {row['updates_per_s']:.1f} | {row['times_plain']:.2f} |"
        )
    check.say("")


def bench(check: Check, mode: str, seeds: int, rounds: int) -> list[str]:
    """The command that measures the main methods."""
    methods = METHODS[:2] if check.smoke else METHODS
    words = [sys.executable, "-m", "scripts.bench_learner", "--devices", check.device, "--mode", mode]
    words += ["--networks", "quick", *([] if check.smoke else ["laptop"]), "--methods", *methods, "--vector-steps", "0"]
    words += ["--precisions", "float32" if check.smoke else "bfloat16"]
    return [*words, "--rounds", str(rounds), "--seeds", str(seeds)]


def training(check: Check) -> None:
    """The configuration for a GPU, for the rest of the time, and its curve."""
    run = check.out / "runs" / "mt10-gpu"
    words: list[str | Path] = [*MTRL, "train", "mt10/gpu", "--device", check.device]
    words += ["--out", run.parent, "--name", run.name, "--training.eval_every_steps", "200000"]
    words += SMOKE_TRAIN.split() if check.smoke else []
    check.run("configs/mt10/gpu.yaml", words, "train.txt", check.left() - WRITING_S)
    if (run / "seed_0" / "metrics.jsonl").exists():
        shutil.copy(run / "seed_0" / "metrics.jsonl", check.out)
        report = run / "report"
        if not report.exists():  # the training was cut off
            check.run("report", [*MTRL, "report", run, "--out", report], "train.txt", check.left() + WRITING_S)
        for name in ("curve.png", "success.csv"):
            if (report / name).exists():
                shutil.copy(report / name, check.out)
        check.say("\n```\n" + "\n".join((check.out / "train.txt").read_text().splitlines()[-20:]) + "\n```")
    shutil.rmtree(check.out / "runs", ignore_errors=True)


def end(process: "subprocess.Popen[bytes]") -> None:
    """Asks as Ctrl-C does, which keeps what is done; kills the whole group if that takes long."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


if __name__ == "__main__":
    sys.exit(main())
