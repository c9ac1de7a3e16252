"""What averages over ranks cost in a whole step of UPGrad: bytes that a rank sends, and its CPU time.

    torchrun --nproc-per-node 2 -m scripts.bench_rank_average [--models 0 6 2] [--rounds 7]

Every rank has a batch of its own. A step where ranks exchange a layer's rows if these are less, and one where all
gradients are formed, take turns, with a plain step of one rank between them: CPU time, of which other load on the
machine is no part. MB are those of a ring, beside messages of some numbers.
"""

import argparse
import time
from collections.abc import Callable, Sequence

import torch
import torch.distributed as dist
from torch import Tensor

from mtrl.distributed import RankAverage
from mtrl.gradients import backward
from mtrl.report.table import markdown
from mtrl.runs.devices import keep_freed_memory
from scripts.gradients_bench.models import MODELS, Model
from scripts.gradients_bench.price import Price
from scripts.machine import machine_line
from scripts.turns import median_ratio


class Counted(RankAverage):
    """Counts the bytes that a rank sends."""

    sent = 0.0

    def __call__(self, tensors: Sequence[Tensor]) -> None:
        self.sent += 2 * self._share * sum(x.nbytes for x in tensors)
        super().__call__(tensors)

    def scatter(self, rows: Tensor) -> Tensor:
        self.sent += self._share * rows.nbytes
        return super().scatter(rows)

    def gather(self, part: Tensor) -> Tensor:
        self.sent += self._share * self.size * part.nbytes
        return super().gather(part)

    def exchange(self, messages: Sequence[Tensor], lengths: Sequence[int]) -> list[Tensor]:
        self.sent += sum(x.nbytes for rank, x in enumerate(messages) if rank != dist.get_rank())
        return super().exchange(messages, lengths)

    @property
    def _share(self) -> float:
        return (self.size - 1) / self.size


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure on all ranks, and print the table on the first."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", type=int, nargs="+", default=[0, 6, 2], help="of bench_gradients, by number")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    keep_freed_memory()
    dist.init_process_group("gloo")
    rows = [_row(MODELS[number], options.rounds) for number in options.models]
    if dist.get_rank() == 0:
        header = ["steps of UPGrad", "T", "MB formed", "exchanged", "CPU times plain, formed", "exchanged", "of formed"]
        print(markdown(header, rows), machine_line((), ()), sep="\n\n")
    dist.destroy_process_group()


def _row(model: Model, rounds: int) -> list[str]:
    workload = Price(model, "cpu")
    torch.manual_seed(dist.get_rank())
    workload.x = model.batch()
    average = Counted()

    def exchanged() -> None:
        workload.forget()
        z = workload.trunk(workload.x)
        backward(workload.losses(z), workload.method, workload.trunk, heads=workload.heads, average=average)

    def formed() -> None:
        # Of a parameter with a hook every task's gradient is formed: the hook might change it.
        handles = [p.register_hook(lambda gradient: gradient) for p in workload.trunk.parameters()]
        exchanged()
        for handle in handles:
            handle.remove()

    steps: dict[str, Callable[[], None]] = {"plain": workload.plain, "formed": formed, "exchanged": exchanged}
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    megabytes: dict[str, float] = {}
    for turn in range(rounds + 1):
        for name, step in steps.items():
            dist.barrier()
            average.sent, start = 0.0, time.process_time()
            step()
            if turn:
                seconds[name].append(time.process_time() - start)
                megabytes[name] = average.sent / 1e6
    cells = [model.name, f"{model.tasks}", *(f"{megabytes[name]:.1f}" for name in ("formed", "exchanged"))]
    cells += [f"{median_ratio(seconds[name], seconds['plain']):.1f}" for name in ("formed", "exchanged")]
    ratio = median_ratio(seconds["exchanged"], seconds["formed"])
    return [*cells, f"{ratio:.2f}"]


if __name__ == "__main__":
    main()
