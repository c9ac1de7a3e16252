"""The processor's cores, for whoever starts threads or processes."""

import os
import sys


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
