"""What a step of MGDA and of MGDA-UB costs beside one of the mean, by the number of tasks, at CelebA's shapes.

    python -m scripts.bench_mgda_ub [--tasks 2 5 10 20 40] [--batch N] [--rounds 3] [--json FILE] [--smoke]

ResNet-18 at 64x64, two outputs per task (Sener and Koltun 2018, section 5.2; by them MGDA-UB costs hardly more than the
mean). A step is the forward pass, the losses, all backward passes, the method and Adam. The variants take turns, so
that they meet the same load: milliseconds are medians over rounds, ratios medians of the rounds' ratios to the mean.
"""

import argparse
import json
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from mtrl import backward
from mtrl.aggregation import MGDA, LinearScalarization, Method
from mtrl.benchmarks.vision import CelebA
from mtrl.benchmarks.vision.models import AttributeNetwork, SmallResNet18
from mtrl.report.table import markdown
from mtrl.supervised import Batch
from scripts.machine import machine_line
from scripts.options import check_counts
from scripts.turns import median_ratio, take_turns

SIZE, OUTPUTS = 64, 2
TARGET = "MGDA-UB within 1.3 times the mean at 40 tasks"


class Workload:
    """A network of `tasks` attributes and a batch of noise."""

    def __init__(self, tasks: int, batch: int, width: int, device: str) -> None:
        torch.manual_seed(0)
        self.tasks = tasks
        self.model = AttributeNetwork(SmallResNet18(width), tasks, OUTPUTS, SIZE).to(device)
        self.batch = Batch(torch.rand(batch, 3, SIZE, SIZE), torch.rand(batch, tasks) < 0.5).to(torch.device(device))
        self.optimizer = torch.optim.Adam(self.model.parameters(), 1e-6)

    def variants(self) -> dict[str, Callable[[], None]]:
        """What is timed, by name; the mean first."""
        return {
            "mean": lambda: self.step(LinearScalarization()),
            "MGDA-UB": lambda: self.step(MGDA(), at_features=True, chunk_size=self.tasks),
            "MGDA-UB, heads one by one": lambda: self.step(MGDA(), at_features=True),
            "MGDA": lambda: self.step(MGDA()),
        }

    def step(self, method: Method, at_features: bool = False, chunk_size: int = 1) -> None:
        self.optimizer.zero_grad()
        z = self.model.represent(self.batch.inputs)
        losses = CelebA().losses(self.model.predict(z), self.batch)
        backward(
            losses,
            method,
            self.model.shared_parameters(),
            features=z if at_features else None,
            heads=self.model.heads,
            chunk_size=chunk_size,
        )
        self.optimizer.step()


def measure(workload: Workload, rounds: int, device: str) -> list[dict[str, Any]]:
    """A row per variant: seconds of every round, their median, and that of the ratios to the mean."""
    seconds = take_turns(workload.variants(), rounds, device)
    rows = []
    for name, times in seconds.items():
        row = {"tasks": workload.tasks, "variant": name, "seconds": times}
        ratio = median_ratio(times, seconds["mean"])
        rows.append(row | {"median_s": statistics.median(times), "times_mean": ratio})
    return rows


def by_tasks(rows: list[dict[str, Any]]) -> str:
    """A table with a row per number of tasks: milliseconds, and in brackets how many times the mean's."""
    names = list(dict.fromkeys(row["variant"] for row in rows))
    cells: dict[int, list[str]] = {row["tasks"]: [str(row["tasks"])] for row in rows}
    for row in rows:
        cells[row["tasks"]].append(f"{1000 * row['median_s']:.0f} ({row['times_mean']:.2f})")
    return markdown(["tasks", *(f"{name}, ms" for name in names)], [*cells.values()])


def parse(arguments: Sequence[str] | None, device: str) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tasks", type=int, nargs="+", default=[2, 5, 10, 20, 40], help="numbers of tasks")
    default = 256 if device == "cuda" else 8
    parser.add_argument("--batch", type=int, default=default, help="images; 256 as published on a GPU, else 8")
    parser.add_argument("--width", type=int, default=64, help="channels of the first layer; published: 64")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    parser.add_argument("--smoke", action="store_true", help="a second's run that shows no more than that it runs")
    options = parser.parse_args(arguments)
    if options.smoke:
        options.tasks, options.batch, options.width, options.rounds = [2, 3], 2, 2, 1
    check_counts(parser, options, "batch", "width", "threads", "rounds")
    if min(options.tasks) < 1:
        parser.error(f"--tasks needs numbers of at least 1, got {min(options.tasks)}")
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the table, write it."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    options = parse(arguments, device)
    torch.set_num_threads(options.threads)
    rows: list[dict[str, Any]] = []
    for tasks in options.tasks:
        rows += measure(Workload(tasks, options.batch, options.width, device), options.rounds, device)
    machine = machine_line((), [device])
    print(f"ResNet-18 of width {options.width}, batch {options.batch}\n\n{by_tasks(rows)}\n\n{machine}")
    if options.json is not None:
        figures = {"machine": machine, "batch": options.batch, "width": options.width, "target": TARGET, "rows": rows}
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
