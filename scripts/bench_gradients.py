#!/usr/bin/env python
"""What collecting per-task gradients costs beside one plain backward pass, and beside TorchJD's autojac.

    python scripts/bench_gradients.py [--tasks 10] [--rows 128] [--width 400] [--threads 1] [--rounds 15] [--out FILE]

Two settings, a trunk of three layers each: every task has rows of its own (reinforcement learning), and all tasks have
the same rows (supervised learning). Every figure is of a forward pass and all that follows. The variants take turns, so
that they meet the same load: ms is the median over rounds, and the ratio the median of the rounds' ratios to the plain
backward pass. On a GPU also the peak of allocated memory.
"""

import argparse
import statistics
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import torch
from gradients_bench.own_data import OwnData
from gradients_bench.shared_forward import SharedForward
from machine import machine_line
from turns import median_ratio, take_turns

SETTINGS = {"rows of its own for each task": OwnData, "the same rows for all tasks": SharedForward}


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    torch.set_num_threads(options.threads)
    peers = {"torchjd"} if find_spec("torchjd") else set()
    if not peers:
        print("torchjd is not installed (pip install torchjd): its rows are left out", file=sys.stderr)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    parts = []
    for setting, workload in SETTINGS.items():
        variants = workload(options.tasks, options.rows, options.width, device).variants()
        chosen = {name: run for name, run in variants.items() if peers or "TorchJD" not in name}
        size = f"{options.tasks} tasks, {options.rows} rows each, 3x{options.width}: {setting}"
        parts.append(f"{size}\n\n{table(chosen, options.rounds, device)}")
    parts.append(machine_line(peers, [device]))
    text = "\n\n".join(parts)
    print(text)
    if options.out is not None:
        options.out.write_text(text + "\n")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tasks", type=int, default=10)
    parser.add_argument("--rows", type=int, default=128, help="of each task")
    parser.add_argument("--width", type=int, default=400, help="of the trunk's layers")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path, help="also write the tables here")
    options = parser.parse_args(arguments)
    for name in ("tasks", "rows", "width", "threads", "rounds"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} needs to be at least 1, got {getattr(options, name)}")
    return options


def table(variants: dict[str, Callable[[], object]], rounds: int, device: str) -> str:
    """Markdown, the first variant being the measure of the others."""
    times = take_turns(variants, rounds, device, repeats=3)
    plain = next(iter(times.values()))
    gpu = device == "cuda"
    lines = ["| | ms | times plain |" + (" peak MiB |" if gpu else ""), "|---|---:|---:|" + ("---:|" if gpu else "")]
    for name, seconds in times.items():
        line = f"| {name} | {1000 * statistics.median(seconds):.1f} | {median_ratio(seconds, plain):.2f} |"
        lines.append(line + (f" {peak(variants[name]):.0f} |" if gpu else ""))
    return "\n".join(lines)


def peak(run: Callable[[], object]) -> float:
    """MiB allocated at most during a call, beyond what is allocated before."""
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    run()
    return (torch.cuda.max_memory_allocated() - before) / 2**20


if __name__ == "__main__":
    main()
