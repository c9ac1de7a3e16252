"""The most memory that a call has allocated at a time."""

from collections.abc import Callable

import torch
from torch.profiler import ProfilerActivity, profile


def peak(run: Callable[[], object], device: str = "cpu") -> float:
    """MiB of tensors, beyond what is allocated before; on a CPU by the profiler, which sees every allocation."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        run()
    assert recorded.profiler is not None
    events = [e for e in recorded.profiler.kineto_results.events() if e.name() == "[memory]"]
    allocated = most = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        allocated += event.nbytes()
        most = max(most, allocated)
    return most / 2**20
