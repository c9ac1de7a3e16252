"""Whether `mtrl.envs.make` is Meta-World: every backend beside stock metaworld, all fifty tasks.

    python -m scripts.check_fidelity [--tasks ...] [--steps 1000] [--episodes 50] [--processes 4] [--out FILE.md]

Differences: a backend and stock metaworld take the same actions for two episodes, random ones and those of metaworld's
scripted policy; the largest difference and the first step that has one. EnvPool draws its own goals, with its own
MuJoCo: they are computed from its seed and given to stock metaworld. Then what the scripted policies reach, 50 episodes
of each MT10 task.
"""

import argparse
import multiprocessing
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path

from mtrl.cores import available_cores
from mtrl.envs import MT10, task_names
from mtrl.envs.catalog import CATALOG
from mtrl.envs.goals import NUM_GOALS
from mtrl.envs.interface import MAX_HORIZON
from mtrl.report.table import markdown
from mtrl.runs.child_process import follow_parent
from scripts.fidelity_check.backends import BACKENDS, is_missing
from scripts.fidelity_check.differences import KINDS, Differences, differences
from scripts.fidelity_check.scripted import Outcome, outcome
from scripts.options import check_counts


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare, print the tables, write them."""
    options = parse(arguments)
    os.environ.update({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"})
    backends = [backend for backend in BACKENDS if not missing(backend)]
    tasks, scripted = options.tasks or list(CATALOG), options.tasks or list(MT10)
    with ProcessPoolExecutor(options.processes, multiprocessing.get_context("spawn"), follow_parent) as pool:
        jobs = {
            (backend, task, kind): pool.submit(differences, backend, task, kind, options.steps, options.seed)
            for backend in backends
            for task in tasks
            for kind in KINDS
        }
        plays = {
            (backend, task): pool.submit(outcome, backend, task, options.episodes, MAX_HORIZON, options.seed)
            for task in (scripted if options.episodes else ())
            for backend in ("stock", *backends)
        }
        try:
            parts = [differences_table(backend, tasks, jobs, options.steps) for backend in backends]
            if plays:
                parts.append(scripted_table(("stock", *backends), scripted, plays, options.episodes))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    from scripts.machine import machine_line  # takes torch, which the processes do without

    packages = {"gymnasium", "metaworld", "mujoco", *({"envpool"} & set(backends))}
    text = "\n\n".join([*parts, machine_line(packages, ["cpu"])])
    print(text)
    if options.out is not None:
        options.out.write_text(text + "\n")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tasks", nargs="+", metavar="TASK", help="of both parts; by default all fifty, and MT10")
    parser.add_argument("--steps", type=int, default=1000, help="of each comparison")
    parser.add_argument("--episodes", type=int, default=NUM_GOALS, help="of the scripted policies; 0 for none")
    parser.add_argument("--seed", type=int, default=0, help="of goals and actions")
    parser.add_argument("--processes", type=int, default=available_cores())
    parser.add_argument("--out", type=Path, help="also write the tables here")
    options = parser.parse_args(arguments)
    if options.steps < 2:
        parser.error(f"--steps needs to be at least 2, got {options.steps}")
    if not 0 <= options.episodes <= NUM_GOALS:
        parser.error(f"--episodes needs to be 0 to {NUM_GOALS}, the goals of a task, got {options.episodes}")
    check_counts(parser, options, "processes")
    if options.tasks:
        try:
            task_names(options.tasks)
        except ValueError as error:
            parser.error(f"--{error}")
    return options


def missing(backend: str) -> bool:
    """Whether its package is not there; then that is said."""
    if is_missing(backend):
        print(f"left out: {backend} is not installed", file=sys.stderr)
    return is_missing(backend)


def differences_table(
    backend: str, tasks: Sequence[str], jobs: dict[tuple[str, str, str], "Future[Differences]"], steps: int
) -> str:
    """Markdown; a task without any difference is counted, not listed."""
    rows, equal = [], 0
    for task in tasks:
        both = [jobs[backend, task, kind].result() for kind in KINDS]
        if all(found.is_zero for found in both):
            equal += 1
            continue
        parts: list[Callable[[Differences], str]] = [lambda d: str(d.obs), lambda d: str(d.reward), _successes]
        reset = max(found.reset.value for found in both)
        rows.append([task, f"{reset:.1e}" if reset else "0", *(part(found) for part in parts for found in both)])
    head = f"`{backend}` and stock metaworld, {steps} steps of each kind: {equal} of {len(tasks)} tasks bit-equal"
    if not rows:
        return f"{head}."
    columns = [f"{what}, {kind}" for what in ("observation", "reward", "success") for kind in KINDS]
    explained = "; the others (largest difference @ first step with one, success: steps that differ @ the first):"
    return f"{head}{explained}\n\n{markdown(['task', 'observation after a reset', *columns], rows)}"


def _successes(found: Differences) -> str:
    return f"{found.num_successes} @ {found.first_success}" if found.num_successes else "0"


def scripted_table(
    backends: Sequence[str], tasks: Sequence[str], plays: dict[tuple[str, str], "Future[Outcome]"], episodes: int
) -> str:
    """Markdown: success at any step, at the last one, and mean return of every backend."""
    names = {"stock": "stock metaworld", "metaworld": "exact backend", "envpool": "EnvPool, own goals"}
    rows = []
    for task in tasks:
        outcomes = [plays[backend, task].result() for backend in backends]
        rows.append([task, *(f"{o.success_any:.2f} / {o.success_final:.2f} / {o.mean_return:,.1f}" for o in outcomes)])
    head = f"Scripted policies, {episodes} episodes a task: success at any step / at the last / mean return."
    return f"{head}\n\n{markdown(['task', *(names[backend] for backend in backends)], rows)}"


if __name__ == "__main__":
    main()
