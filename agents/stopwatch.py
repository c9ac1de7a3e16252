"""Where the wall time goes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Seconds spent in named parts of a loop since they were last read."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._started = time.perf_counter()

    @contextmanager
    def timing(self, part: str) -> Iterator[None]:
        """Counts the time within towards a part; parts do not nest."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[part] = self._seconds.get(part, 0.0) + time.perf_counter() - begin

    def shares(self) -> dict[str, float]:
        """Each part's share of the time since the last call, and what is left as `other`; they sum to one."""
        now = time.perf_counter()
        total = max(now - self._started, 1e-9)
        shares = {part: seconds / total for part, seconds in self._seconds.items()}
        self._seconds, self._started = {}, now
        return shares | {"other": max(0.0, 1 - sum(shares.values()))}
