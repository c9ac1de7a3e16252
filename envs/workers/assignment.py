"""Which environments go to which worker."""

import heapq
from collections.abc import Hashable, Sequence

_TOLERATED = 1.08
"""How much longer the busiest worker may take for the sake of few tasks per worker."""


def balanced(costs: Sequence[float], tasks: Sequence[Hashable], num_workers: int) -> list[list[int]]:
    """Rows of each worker: nearly equal costs, and the environments of a task in as few workers as that allows.

    Every worker compiles the model of each of its tasks (0.1 s, 5 MB) and steps a task's environments
    together, so a row of neighbours is better than rows picked for their costs alone.

    Args:
        costs: of a step of each environment, in any unit.
        tasks: of each environment; those of a task stand side by side.
        num_workers: there are at most as many as environments, so that nobody is idle.

    Returns:
        Per worker its rows, ascending; the workers by their first rows.
    """
    num_workers = min(num_workers, len(costs))
    if not num_workers:
        return []
    picked, cut = _picked(costs, num_workers), _cut(costs, num_workers)
    saves_models = _num_models(cut, tasks) < _num_models(picked, tasks)
    return cut if saves_models and _busiest(cut, costs) <= _TOLERATED * _busiest(picked, costs) else picked


def balanced_part(costs: Sequence[float], tasks: Sequence[Hashable], num_workers: int, part: slice) -> list[list[int]]:
    """The rows of each worker, as `balanced` has them, where only a part of all rows is to be simulated."""
    return [[part.start + row for row in rows] for rows in balanced(costs[part], tasks[part], num_workers)]


def _picked(costs: Sequence[float], num_workers: int) -> list[list[int]]:
    """The dearest first, each to the worker with least to do (Graham 1969, LPT)."""
    loads = [(0.0, worker) for worker in range(num_workers)]
    rows: list[list[int]] = [[] for _ in range(num_workers)]
    for row in sorted(range(len(costs)), key=lambda row: -costs[row]):
        load, worker = heapq.heappop(loads)
        rows[worker].append(row)
        heapq.heappush(loads, (load + costs[row], worker))
    return sorted(sorted(of_worker) for of_worker in rows)


def _cut(costs: Sequence[float], num_workers: int) -> list[list[int]]:
    """Neighbours together: the least limit, to 1 %, under which the rows fit into that many pieces."""
    limit = max(*costs, sum(costs) / num_workers)
    while len(pieces := _pieces(costs, num_workers, limit)) > num_workers:
        limit *= 1.01
    return pieces


def _pieces(costs: Sequence[float], at_least: int, limit: float) -> list[list[int]]:
    """Consecutive rows whose costs stay within the limit, in one piece after the other."""
    pieces: list[list[int]] = [[]]
    load = 0.0
    for row, cost in enumerate(costs):
        rest_one_each = len(costs) - row == at_least - len(pieces)
        if pieces[-1] and (load + cost > limit or rest_one_each):
            pieces.append([])
            load = 0.0
        pieces[-1].append(row)
        load += cost
    return pieces


def _busiest(rows: Sequence[Sequence[int]], costs: Sequence[float]) -> float:
    return max(sum(costs[row] for row in of_worker) for of_worker in rows)


def _num_models(rows: Sequence[Sequence[int]], tasks: Sequence[Hashable]) -> int:
    return sum(len({tasks[row] for row in of_worker}) for of_worker in rows)
