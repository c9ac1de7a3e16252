"""What an environment step of each task takes on one core: the physics alone, and the whole exact step.

    python -m scripts.bench_tasks [--tasks MT10] [--envs 4] [--rounds 5]

Microseconds of processor time per environment step, resets left out, random actions; the least of the rounds, in which
the two take turns so that they meet the same load. The costs in `mtrl.envs.catalog` are the second column.
"""

import argparse
import os
import time
from collections.abc import Callable, Sequence

os.environ.setdefault("OMP_NUM_THREADS", "1")

import mujoco
import numpy as np

from mtrl.envs.goals import NUM_GOALS, benchmark_goals
from mtrl.envs.metaworld.simulators import Group, Simulators
from mtrl.envs.tasks import task_names
from scripts.machine import machine_line

_STEPS = 400
"""Of all environments together, in a round."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tasks", default="MT50", help="a benchmark's name")
    parser.add_argument("--envs", type=int, default=4, help="environments of the task")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)

    tasks = task_names(options.tasks)
    print("| us | physics | step |\n|---|---:|---:|")
    rows = []
    for task, goals in zip(tasks, benchmark_goals(tasks, seed=0), strict=True):
        rows.append(measure(task, goals, options.envs, options.rounds))
        print(f"| {task} | {rows[-1][0]:.0f} | {rows[-1][1]:.0f} |", flush=True)
    physics, step = np.mean(rows, axis=0)
    print(f"| mean | {physics:.0f} | {step:.0f} |\n\n{machine_line({'metaworld', 'mujoco', 'numpy'}, ['cpu'])}")


def measure(task: str, goals: np.ndarray, num_envs: int, rounds: int) -> tuple[float, float]:
    """Microseconds per environment step: of the physics alone, and of everything."""
    simulators = Simulators([Group(task, goals, num_envs)], "v2")
    steps = max(_STEPS // num_envs, 30)
    actions = np.random.default_rng(0).uniform(-1, 1, (steps, num_envs, 4)).astype(np.float32)

    def physics(_: np.ndarray) -> None:
        for model, data, steps in simulators.physics:
            mujoco.mj_step(model, data, steps)
            mujoco.mj_forward(model, data)

    ways: tuple[Callable[[np.ndarray], object], ...] = (physics, simulators.step)
    best = [np.inf] * len(ways)
    for _ in range(rounds):
        for way, step in enumerate(ways):
            simulators.reset(np.arange(num_envs) % NUM_GOALS)
            start = time.process_time()
            for action in actions:
                step(action)
            best[way] = min(best[way], (time.process_time() - start) / (steps * num_envs) * 1e6)
    return best[0], best[1]


if __name__ == "__main__":
    main()
