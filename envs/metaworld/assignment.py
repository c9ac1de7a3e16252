"""Which environments go to which worker."""

import heapq
import os
import sys
from collections.abc import Sequence


def balanced(costs: Sequence[float], num_workers: int) -> list[list[int]]:
    """Rows of each worker: the dearest first, each to the worker with least to do (Graham 1969, LPT).

    Args:
        costs: of a step of each environment, in any unit.
        num_workers: at most `len(costs)`, so that nobody is idle.

    Returns:
        Per worker its rows, ascending; the environments of a task stay side by side, which is kind to caches.
    """
    loads = [(0.0, worker) for worker in range(num_workers)]
    rows: list[list[int]] = [[] for _ in range(num_workers)]
    for row in sorted(range(len(costs)), key=lambda row: -costs[row]):
        load, worker = heapq.heappop(loads)
        rows[worker].append(row)
        heapq.heappush(loads, (load + costs[row], worker))
    return [sorted(of_worker) for of_worker in rows]


def available_cores() -> int:
    """Cores that this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
