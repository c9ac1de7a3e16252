"""What an update of the agent costs at another commit and here: two processes that take turns.

    python -m scripts.bench_commits COMMIT [--configs mt10/quick mt10/laptop] [--precisions float32 bfloat16] ...

Each process makes updates of a shipped configuration on made-up batches of ten tasks, compiled, on one thread; a turn
is twenty updates in one, then in the other, in processor time, so that both meet the same load. The ratio is the median
over rounds. Commits from before `agents` was a part of `mtrl` do, too.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from scripts.machine import machine_line
from scripts.turns import median_ratio

ROOT = Path(__file__).resolve().parents[1]
UPDATES = 20
WORKER = """
import sys, time
from importlib import import_module
from pathlib import Path
import torch
torch.set_num_threads(1)
from mtrl.cli.arguments import load_config
from mtrl.runs import devices
getattr(devices, "keep_freed_memory", int)()  # as a run of that commit does
package = "mtrl.agents" if Path("mtrl/agents").exists() else "agents"  # once a package of its own
agents, Batch = import_module(package), import_module(f"{package}.losses").Batch
name, precision, updates = sys.argv[1], sys.argv[2], int(sys.argv[3])
config = load_config(Path("configs") / f"{name}.yaml", agents.Config)
training = config.training.model_copy(update={"precision": precision, "compile": True})
learner = agents.Learner(config.model_copy(update={"training": training}), 10, 39, 4, torch.device("cpu"), (0,))
generator, rows = torch.Generator().manual_seed(0), (1, 10, config.training.batch_per_task)
normal = lambda *shape: torch.randn(*rows, *shape, generator=generator)
batch = Batch(normal(39), normal(4).tanh(), normal(), normal(39), torch.full(rows, 0.97))
start = time.perf_counter()
for _ in range(2):
    learner.update(batch)
print(time.perf_counter() - start, flush=True)
for _ in sys.stdin:
    start = time.process_time()
    for _ in range(updates):
        learner.update(batch)
    print((time.process_time() - start) / updates, flush=True)
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure both commits, print the table, write it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("commit")
    parser.add_argument("--configs", nargs="+", default=["mt10/quick", "mt10/laptop"])
    parser.add_argument("--precisions", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path, help="also write the table here")
    options = parser.parse_args(arguments)
    lines = [
        f"| config | precision | {options.commit}, ms | here, ms | times as many updates | first two updates, s |",
        "|---|---|---:|---:|---:|---:|",
    ]
    with checkout(options.commit) as old:
        for config in options.configs:
            for precision in options.precisions:
                lines.append(compare(old, config, precision, options.rounds))
                print(lines[-1], flush=True)
    text = "\n".join([*lines, "", machine_line(set(), ["cpu"])])
    print("\n" + text)
    if options.out is not None:
        options.out.write_text(text + "\n")


@contextmanager
def checkout(commit: str) -> Iterator[Path]:
    """A working tree of that commit."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        subprocess.run(["git", "-C", ROOT, "worktree", "add", "--detach", "--quiet", tree, commit], check=True)
        try:
            yield tree
        finally:
            subprocess.run(["git", "-C", ROOT, "worktree", "remove", "--force", tree], check=True)


def compare(old: Path, config: str, precision: str, rounds: int) -> str:
    """A row of the table: both commits in turns."""
    workers = [started(tree, config, precision) for tree in (old, ROOT)]
    first = [answer(worker) for worker in workers]
    for worker in workers:
        turn(worker)  # the first turn is slower
    pairs = [[turn(worker) for worker in workers] for _ in range(rounds)]
    for worker in workers:
        worker.communicate()
    before, after = (list(seconds) for seconds in zip(*pairs, strict=True))
    each = [1000 * statistics.median(seconds) for seconds in (before, after)]
    return (
        f"| {config} | {precision} | {each[0]:.1f} | {each[1]:.1f} | {median_ratio(before, after):.2f} "
        f"| {first[0]:.0f}, {first[1]:.0f} |"
    )


def started(tree: Path, config: str, precision: str) -> "subprocess.Popen[str]":
    """A process that makes updates in a working tree."""
    environment = os.environ | {"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    arguments = [sys.executable, "-W", "ignore", "-c", WORKER, config, precision, str(UPDATES)]
    pipe = subprocess.PIPE
    return subprocess.Popen(arguments, cwd=tree, env=environment, text=True, stdin=pipe, stdout=pipe)


def turn(worker: "subprocess.Popen[str]") -> float:
    """Seconds of an update."""
    assert worker.stdin is not None
    worker.stdin.write("\n")
    worker.stdin.flush()
    return answer(worker)


def answer(worker: "subprocess.Popen[str]") -> float:
    """A worker's next line."""
    assert worker.stdout is not None
    return float(worker.stdout.readline())


if __name__ == "__main__":
    main()
