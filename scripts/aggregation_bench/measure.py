"""Milliseconds and error of one solver on one family of matrices."""

import itertools
import statistics
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from mtrl.aggregation import METHODS, GradientMethod, Method
from scripts.aggregation_bench.case import FAMILIES, Case, make_case
from scripts.aggregation_bench.error import as_answer, error_of
from scripts.aggregation_bench.solvers import Build, Solver, by_cvxpy, ours, torchjd_peer
from scripts.turns import synchronise

MATRICES = 5
"""Of a family, in turn."""
LONGEST = 20
"""Budgets that one batched call may take, by the estimate that a batch saves nothing; else the batch is smaller."""


@dataclass
class Cell:
    """One solver, timed on one family of matrices."""

    method: str
    who: str
    """`ours`, `torchjd` or `cvxpy`."""
    tasks: int
    family: str
    device: str
    batch: int | None
    ms: float | None = None
    """Milliseconds per matrix."""
    error: float | None = None
    trouble: list[str] = field(default_factory=list)
    """What it raised or warned of."""


def measure(cell: Cell, build: Build, seconds: float) -> Cell:
    """Fills a cell: calls on fresh solvers until the time is up, at least one."""
    number = MATRICES if cell.batch is None else 1
    cases = [make_case(cell.tasks, cell.family, seed, cell.batch, cell.device) for seed in range(number)]
    times: list[float] = []
    results: list[tuple[Case, Tensor]] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            end = time.perf_counter() + seconds
            for case in itertools.cycle(cases):
                solver = build()
                times.append(timed(solver, case, cell.device, results if len(results) < number else None))
                if time.perf_counter() > end:
                    break
            cell.ms = 1000 * statistics.median(times[1:] or times) / (cell.batch or 1)
        except Exception as problem:  # of a peer, most likely; the other cells go on
            cell.trouble.append(f"raised {type(problem).__name__}: {first_line(problem)}")
    cell.trouble += sorted({f"warned: {first_line(warning.message)}" for warning in caught})
    if cell.ms is not None and cell.batch is None:
        cell.error = median_error(cell, results)
    return cell


def timed(solver: Solver, case: Case, device: str, results: list[tuple[Case, Tensor]] | None) -> float:
    """Seconds of one call; keeps what it gave."""
    synchronise(device)
    start = time.perf_counter()
    result = solver(case)
    synchronise(device)
    elapsed = time.perf_counter() - start
    if results is not None:
        results.append((Case(case.gradients.cpu(), case.gram.cpu(), case.losses.cpu()), result.cpu()))
    return elapsed


def median_error(cell: Cell, results: Sequence[tuple[Case, Tensor]]) -> float | None:
    """The median error over the cases where it is known; None if it is in none."""
    errors = [error_of(cell.method, cell.who == "ours", case, as_answer(result, case)) for case, result in results]
    known = [error for error in errors if error is not None]
    return statistics.median(known) if known else None


def first_line(message: object) -> str:
    """The first line of a message, at most 160 characters."""
    lines = str(message).strip().splitlines()
    return lines[0][:160] if lines else "(no message)"


def measure_all(tasks: int, batch: int, seconds: float, peers: set[str], devices: Sequence[str]) -> list[Cell]:
    """Every method at one number of tasks."""
    cells = []
    for name, family in itertools.product(METHODS, FAMILIES):
        if sys.stderr.isatty():
            print(f"\033[2K T = {tasks}: {name}, {family}", end="\r", file=sys.stderr, flush=True)
        for device in devices:
            single = measure(Cell(name, "ours", tasks, family, device, None), ours(name, device), seconds)
            cells.append(single)
            if issubclass(METHODS[name], Method) and issubclass(METHODS[name], GradientMethod):
                continue  # they follow one set of gradients at a time
            several = batch
            while several > 1 and several * (single.ms or 0) / 1000 > LONGEST * seconds and device == "cpu":
                several //= 2
            together = Cell(name, "ours", tasks, family, device, several)
            cells.append(measure(together, ours(name, device), seconds))
        peer = torchjd_peer(name, tasks) if "torchjd" in peers else None
        if peer is not None:
            cells.append(measure(Cell(name, "torchjd", tasks, family, "cpu", None), peer, seconds))
        if name == "nash_mtl" and "cvxpy" in peers:
            cells.append(measure(Cell(name, "cvxpy", tasks, family, "cpu", None), by_cvxpy, seconds))
    return cells
