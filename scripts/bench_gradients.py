"""What collecting per-task gradients costs beside one plain backward pass, and beside TorchJD's autojac and autogram.

    python -m scripts.bench_gradients [--tasks 10] [--rows 128] [--width 400] [--threads 1] [--rounds 15] [--out FILE]
        [--models 0 1 ... | --no-models] [--model-rounds 5]

Two settings, a trunk of three layers each: every task has rows of its own (reinforcement learning), and all tasks have
the same rows (supervised learning). Then whole steps of UPGrad on models of supervised learning, beside the least that
they can cost and the time that its matrix products take alone (`gradients_bench/floor.py`), and one where each sample
is a task. Every other figure is of a forward pass and all that follows. The variants take turns, so that they meet the
same load: ms is the median over rounds, and the ratio the median of the rounds' ratios to the plain backward pass; of
processor time, with one thread. MiB are of memory allocated at most at a time.
"""

import argparse
import statistics
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import torch

from mtrl.report.table import markdown
from mtrl.runs.devices import keep_freed_memory
from scripts.gradients_bench.floor import floor, products
from scripts.gradients_bench.models import MODELS, Model
from scripts.gradients_bench.own_data import OwnData
from scripts.gradients_bench.price import Price
from scripts.gradients_bench.samples import Samples
from scripts.gradients_bench.shared_forward import SharedForward
from scripts.machine import machine_line
from scripts.options import check_counts
from scripts.peak_memory import peak
from scripts.turns import median_ratio, take_turns

SETTINGS: dict[str, type[OwnData] | type[SharedForward]] = {
    "rows of its own for each task": OwnData,
    "the same rows for all tasks": SharedForward,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the tables, write them."""
    options = parse(arguments)
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    peers = {"torchjd"} if find_spec("torchjd") else set()
    if not peers:
        print("torchjd is not installed (pip install torchjd): its rows are left out", file=sys.stderr)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    parts = []
    for setting, workload in SETTINGS.items():
        variants = workload(options.tasks, options.rows, options.width, device).variants()
        chosen = {name: run for name, run in variants.items() if peers or "TorchJD" not in name}
        size = f"{options.tasks} tasks, {options.rows} rows each, 3x{options.width}: {setting}"
        parts.append(f"{size}\n\n{compared(chosen, options.rounds, device)}")
    if options.models:
        parts.append(prices([MODELS[i] for i in options.models], options.model_rounds, device, bool(peers)))
        samples = Samples(options.rows, options.width, device)
        chosen = {name: run for name, run in samples.variants().items() if peers or "TorchJD" not in name}
        size = f"3x{options.width}, {options.rows} samples, each a task; {samples.jacobian_mib:.0f} MiB of gradients"
        parts.append(f"{size}\n\n{compared(chosen, options.model_rounds, device)}")
    parts.append(machine_line(peers, [device]))
    text = "\n\n".join(parts)
    print(text)
    if options.out is not None:
        options.out.write_text(text + "\n")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tasks", type=int, default=10)
    parser.add_argument("--rows", type=int, default=128, help="of each task")
    parser.add_argument("--width", type=int, default=400, help="of the trunk's layers")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--models", type=int, nargs="*", default=[*range(len(MODELS))], help="which, by number")
    parser.add_argument("--no-models", dest="models", action="store_const", const=[], help="none")
    parser.add_argument("--model-rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="also write the tables here")
    options = parser.parse_args(arguments)
    check_counts(parser, options, "tasks", "rows", "width", "threads", "rounds", "model_rounds")
    if any(not 0 <= i < len(MODELS) for i in options.models):
        parser.error(f"--models needs numbers below {len(MODELS)}, got {options.models}")
    return options


def compared(variants: dict[str, Callable[[], object]], rounds: int, device: str) -> str:
    """A table with a row per variant, the first being the measure of the others."""
    times = take_turns(variants, rounds, device, repeats=3)
    plain = next(iter(times.values()))
    rows = []
    for name, seconds in times.items():
        shown = f"{1000 * statistics.median(seconds):.1f}", f"{median_ratio(seconds, plain):.2f}"
        rows.append([name, *shown, f"{peak(variants[name], device):.0f}"])
    return markdown(["", "ms", "times plain", "peak MiB"], rows)


def prices(models: Sequence[Model], rounds: int, device: str, peers: bool) -> str:
    """A table with a row per model: times plain, and MiB in brackets."""
    head: list[str] = []
    rows = []
    for model in models:
        workload = Price(model, device)
        variants = {name: run for name, run in workload.variants().items() if peers or "TorchJD" not in name}
        head = ["whole steps of UPGrad", "T", "plain, ms", "floor", "its products", *[*variants][1:]]
        most = {name: peak(run, device) for name, run in variants.items()}
        counted = products(workload.trunk, workload.x, model.tasks)
        times = take_turns({**variants, "": counted}, rounds, device)
        plain, alone = times.pop("plain"), times.pop("")
        cells = [model.name, f"{model.tasks}", f"{1000 * statistics.median(plain):.0f} ({most['plain']:.0f})"]
        cells += [f"{floor(workload.trunk, workload.x, model.tasks):.1f}", f"{median_ratio(alone, plain):.1f}"]
        cells += [f"{median_ratio(seconds, plain):.1f} ({most[name]:.0f})" for name, seconds in times.items()]
        rows.append(cells)
    return markdown(head, rows)


if __name__ == "__main__":
    main()
