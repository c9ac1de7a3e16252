"""The processor's cores, for whoever starts threads or processes."""

import os
import sys

from mtrl.cgroup import core_limit


def available_cores() -> int:
    """Cores that this process may use, or whose time its container gets."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return min(cores, core_limit() or cores)
