"""The wall time of a run, and where it goes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """Seconds of a run over all its processes, and the shares of named parts of its loop."""

    def __init__(self) -> None:
        self._before = 0.0
        self._started: float | None = time.monotonic()  # None while it is stopped
        self._parts: dict[str, float] = {}
        self._read = time.perf_counter()

    def now(self) -> float:
        """Seconds of the run so far."""
        return self._before + (0.0 if self._started is None else time.monotonic() - self._started)

    def go_on(self, at: float | None = None) -> None:
        """The run goes on now, and what passed since it stopped does not count; `at` so many seconds, if given."""
        self._before, self._started = self._before if at is None else at, time.monotonic()

    def stop(self) -> None:
        """The run stops, or a process of it ends."""
        self._before, self._started = self.now(), None

    @contextmanager
    def timing(self, part: str) -> Iterator[None]:
        """Counts the time within towards a part; parts do not nest."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            self._parts[part] = self._parts.get(part, 0.0) + time.perf_counter() - begin

    def shares(self) -> dict[str, float]:
        """Each part's share of the time since the last call, and what is left as `other`; they sum to one."""
        now = time.perf_counter()
        total = max(now - self._read, 1e-9)
        shares = {part: seconds / total for part, seconds in self._parts.items()}
        self._parts, self._read = {}, now
        return shares | {"other": max(0.0, 1 - sum(shares.values()))}
