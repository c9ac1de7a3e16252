"""What an environment step of each MT10 task takes on one core: physics alone, together (thin), and one by one.

    python -m scripts.bench_tasks [--counts 1 4 16] [--rounds 5]

Microseconds per environment step, resets left out, random actions; the least of the rounds, in which the three take
turns so that they meet the same load. `mtrl.envs.metaworld.simulators` chooses between the last two by these figures.
"""

import argparse
import os
import time
from collections.abc import Callable, Sequence

os.environ.setdefault("OMP_NUM_THREADS", "1")

import mujoco
import numpy as np

from mtrl.envs.goals import NUM_GOALS, benchmark_goals
from mtrl.envs.metaworld.simulators import OneByOne
from mtrl.envs.metaworld.thin import Group, ThinSimulators
from mtrl.envs.tasks import task_names
from scripts.machine import machine_line

_STEPS = 400
"""Of all environments together, in a round."""
_WAYS = ("C", "thin", "one by one")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 4, 16], help="environments of the task")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)

    tasks = task_names("MT10")
    print("| us |" + "".join(f" {way}, n={count} |" for count in options.counts for way in _WAYS))
    print("|---|" + "---:|" * len(_WAYS) * len(options.counts))
    rows = []
    for task, goals in zip(tasks, benchmark_goals(tasks, seed=0), strict=True):
        rows.append([us for count in options.counts for us in measure(task, goals, count, options.rounds)])
        _print_row(task, rows[-1])
    _print_row("mean", np.mean(rows, axis=0))
    print(f"\n{machine_line({'metaworld', 'mujoco', 'numpy'}, ['cpu'])}")


def measure(task: str, goals: np.ndarray, count: int, rounds: int) -> list[float]:
    """Microseconds per environment step of `_WAYS`."""
    thin, single = ThinSimulators([Group(task, goals, count)]), OneByOne(task, goals, count, "v2")
    steps = max(_STEPS // count, 30)
    actions = np.random.default_rng(0).uniform(-1, 1, (steps, count, 4)).astype(np.float32)

    def physics(_: np.ndarray) -> None:
        for model, data in thin.physics:
            mujoco.mj_step(model, data, thin.frame_skip)
            mujoco.mj_forward(model, data)

    ways: list[tuple[Callable[[np.ndarray], object], Callable[[np.ndarray], object]]]
    ways = [(thin.reset, physics), (thin.reset, thin.step), (single.reset, single.step)]
    best = [np.inf] * len(ways)
    for _ in range(rounds):
        for way, (reset, step) in enumerate(ways):
            reset(np.arange(count) % NUM_GOALS)
            start = time.perf_counter()
            for action in actions:
                step(action)
            best[way] = min(best[way], (time.perf_counter() - start) / (steps * count) * 1e6)
    return best


def _print_row(name: str, figures: Sequence[float] | np.ndarray) -> None:
    print(f"| {name} |" + "".join(f" {figure:.0f} |" for figure in figures), flush=True)


if __name__ == "__main__":
    main()
