"""Times of variants that take turns, so that they meet the same load."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence

import torch


def take_turns(
    variants: Mapping[str, Callable[[], object]], rounds: int, device: str = "cpu", repeats: int = 1
) -> dict[str, list[float]]:
    """Seconds of a call of each variant in every round, a round of warm-up left out."""
    times: dict[str, list[float]] = {name: [] for name in variants}
    for turn in range(rounds + 1):
        for name, run in variants.items():
            seconds = seconds_of(run, device, repeats)
            if turn > 0:
                times[name].append(seconds)
    return times


def seconds_of(run: Callable[[], object], device: str = "cpu", repeats: int = 1) -> float:
    """Seconds of a call, over so many in a row; of processor time if one thread computes, whatever else runs beside."""
    clock = time.process_time if device == "cpu" and torch.get_num_threads() == 1 else time.perf_counter
    synchronise(device)
    start = clock()
    for _ in range(repeats):
        run()
    synchronise(device)
    return (clock() - start) / repeats


def median_ratio(seconds: Sequence[float], of: Sequence[float]) -> float:
    """Median over rounds of the ratio to another variant in the same round."""
    return statistics.median(a / b for a, b in zip(seconds, of, strict=True))


def synchronise(device: str) -> None:
    """Waits for a GPU."""
    if device == "cuda":
        torch.cuda.synchronize()
