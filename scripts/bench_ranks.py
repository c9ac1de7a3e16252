"""What an update costs on ranks that share the tasks, beside one process that has them all.

    torchrun --nproc-per-node 2 -m scripts.bench_ranks [--configs mt10/quick mt10/gpu] [--tasks 10 50] [--rounds 7] ...

Batches are made up. The first rank measures updates of all tasks by itself, while the others wait, and updates over the
ranks, in turn: their CPU time, of which other load on the machine is no part, and their wall time. The ratio of CPU
times is what ranks save where each has cores of its own; the bytes are what the first rank sends.
"""

import argparse
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mtrl.agents import Config, Learner
from mtrl.agents.losses import Batch
from mtrl.agents.ranks import ALONE, Ranks, launched
from mtrl.cli.arguments import load_config
from mtrl.report.table import markdown
from mtrl.runs.configs import find
from scripts.learner_bench.updates import ACTION, OBSERVATION, made_up_batch
from scripts.machine import machine_line


@dataclass(frozen=True)
class Counted(Ranks):
    """Ranks that count the bytes that they send to each other."""

    sent: list[int] = field(default_factory=list)

    def all(self, tensor: Tensor) -> Tensor:
        """See `Ranks.all`."""
        self.sent.append(tensor.nbytes * (self.size - 1))
        return super().all(tensor)

    def exchange(self, gradients: Tensor, num_tasks: int) -> Tensor:
        """See `Ranks.exchange`."""
        self.sent.append(gradients.nbytes // self.size * (self.size - 1))
        return super().exchange(gradients, num_tasks)

    def sum(self, tensor: Tensor) -> Tensor:
        """See `Ranks.sum`."""
        self.sent.append(2 * tensor.nbytes // self.size * (self.size - 1))
        return super().sum(tensor)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure on all ranks, and print the table on the first."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--configs", nargs="+", default=["mt10/quick", "mt10/laptop", "mt10/gpu"])
    parser.add_argument("--tasks", nargs="+", type=int, default=[10])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--updates", type=int, default=10, help="in a row")
    parser.add_argument("--compile", action="store_true", help="compile the updates")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    with launched() as found:
        ranks = Counted(**vars(found))
        rows = [
            [name, str(num_tasks), *_row(_config(name, options.compile), ranks, num_tasks, options)]
            for name in options.configs
            for num_tasks in options.tasks
        ]
        if ranks.leads:
            header = ["configuration", "tasks", "CPU ms alone", f"on {ranks.size} ranks", "ratio", "wall ms", "MB sent"]
            print(markdown(header, rows), machine_line((), ()), sep="\n\n")


def _config(name: str, compile: bool) -> Config:
    config = load_config(find(name), Config)
    training = {"precision": "float32", "compile": compile}
    return config.model_copy(update={"training": config.training.model_copy(update=training)})


def _row(config: Config, ranks: Counted, num_tasks: int, options: argparse.Namespace) -> list[str]:
    """The numbers of one line."""
    alone = _learner(config, num_tasks, ALONE) if ranks.leads else None
    together = _learner(config, num_tasks, ranks)
    rows = config.training.batch_per_task
    whole, own = (made_up_batch(1, tasks, rows) for tasks in (num_tasks, len(range(num_tasks)[ranks.own(num_tasks)])))
    found: list[tuple[float, float, float]] = []
    for _ in range(options.rounds + 1):
        by_itself, _ = _seconds(alone, whole, options.updates) if alone else (0.0, 0.0)
        ranks.any(False)  # wait for the first
        ranks.sent.clear()
        found.append((by_itself, *_seconds(together, own, options.updates)))
    cpu, shared, wall = (1e3 * statistics.median(times) for times in zip(*found[1:], strict=True))
    ratio = statistics.median(one / over for one, over, _ in found[1:])
    megabytes = sum(ranks.sent) / options.updates / 1e6
    return [f"{cpu:.1f}", f"{shared:.1f}", f"{ratio:.2f}", f"{wall:.1f}", f"{megabytes:.1f}"]


def _learner(config: Config, num_tasks: int, ranks: Ranks) -> Learner:
    return Learner(config, num_tasks, OBSERVATION, ACTION, torch.device("cpu"), (0,), ranks=ranks)


def _seconds(learner: Learner, batch: Batch, updates: int) -> tuple[float, float]:
    """CPU and wall seconds of an update."""
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(updates):
        learner.update(batch)
    return (time.process_time() - cpu) / updates, (time.perf_counter() - wall) / updates


if __name__ == "__main__":
    main()
