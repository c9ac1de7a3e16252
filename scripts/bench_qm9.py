"""What QM9's network costs: molecules per second, and a step with a gradient per task beside a plain one.

    python -m scripts.bench_qm9 [DATA] [--batch 120] [--threads 1] [--rounds 5] [--json FILE] [--smoke]

DATA is the folder of QM9's files; without it, made-up molecules of QM9's sizes. The variants take turns, so that they
meet the same load: ms is the median over rounds, and a ratio the median of the rounds' ratios. The peer is the same
network of torch_geometric's NNConv and Set2Set if that is installed, else of the same layers written plainly here with
a matrix per edge. Memory is the growth of the peak of resident memory over one call, each in a process of its own.
"""

import argparse
import json
import multiprocessing
import statistics
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from mtrl.report.table import markdown
from mtrl.runs.devices import keep_freed_memory
from scripts.machine import machine_line
from scripts.options import check_counts
from scripts.qm9_bench.peer import Peer
from scripts.qm9_bench.work import Work
from scripts.turns import median_ratio, take_turns

MIB_KIB = 1024


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the table, write it."""
    options = parse(arguments)
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    work = Work(options.data, options.batch)
    peers = {"torch_geometric"} if find_spec("torch_geometric") else set()
    variants = work.variants(Peer(work.network))
    times = take_turns(variants, options.rounds)
    peak = {name: memory(options, name) for name in variants}
    plain, peer = times["plain step"], times["plain step, a matrix per edge"]
    rows = [
        {
            "variant": name,
            "ms": 1000 * statistics.median(seconds),
            "times_plain": median_ratio(seconds, plain),
            "times_peer": median_ratio(seconds, peer),
            "molecules_per_s": options.batch / statistics.median(seconds),
            "peak_mib": peak[name],
        }
        for name, seconds in times.items()
    ]
    title = f"QM9's network, {options.batch} molecules of {work.source}, {work.atoms} atoms; the matrix per edge is of "
    title += "torch_geometric" if peers else "plain layers (torch_geometric is not installed)"
    machine = machine_line(peers, ["cpu"])
    header = ["", "ms", "times plain", "molecules/s", "peak MiB"]
    print("\n\n".join([title, markdown(header, [*map(shown, rows)]), machine]))
    if options.json is not None:
        options.json.write_text(json.dumps({"title": title, "rows": rows, "machine": machine}, indent=1) + "\n")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", nargs="?", type=Path, help="folder of QM9's files")
    parser.add_argument("--batch", type=int, default=120, help="molecules")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    parser.add_argument("--smoke", action="store_true", help="6 molecules, one round: does it run?")
    options = parser.parse_args(arguments)
    if options.smoke:
        options.batch, options.rounds = 6, 1
    check_counts(parser, options, "batch", "threads", "rounds")
    return options


def memory(options: argparse.Namespace, variant: str) -> float:
    """MiB that one call adds to the peak of resident memory (Linux)."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_growth, (options.data, options.batch, variant))


def _growth(data: Path | None, batch: int, variant: str) -> float:
    torch.set_num_threads(1)
    work = Work(data, batch)
    run = work.variants(Peer(work.network))[variant]
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = _peak_kib()
    run()
    return (_peak_kib() - before) / MIB_KIB


def _peak_kib() -> int:
    """The most resident memory that this process has had."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def shown(row: dict[str, Any]) -> list[str]:
    """A row of the table."""
    numbers = f"{row['ms']:.0f}", f"{row['times_plain']:.2f}", f"{row['molecules_per_s']:.0f}", f"{row['peak_mib']:.0f}"
    return [row["variant"], *numbers]


if __name__ == "__main__":
    main()
