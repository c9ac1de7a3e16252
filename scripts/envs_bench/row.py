"""What is measured: a way of stepping MT10, in a process of its own."""

import time
from typing import Any, NamedTuple, Protocol

import numpy as np

ACTIONS = 64
"""Different random actions, drawn before the clock starts and repeated."""


class Stepped(NamedTuple):
    """What a measurement counted."""

    steps: int
    """Environment steps, summed over environments."""
    seconds: float


class Row(Protocol):
    """A row of the table, built; resets happen within it as its episodes end."""

    def run(self, seconds: float) -> Stepped:
        """Step with random actions for about so long, once at least."""

    def close(self) -> None:
        """End its processes."""


class OneCall:
    """A `Row` that steps all of its environments with a call.

    Args:
        env: has `reset()`, `step(actions)` and `close()`.
        size: environments.
        shape: of the environments in `actions`; by default `[size]`.
    """

    def __init__(self, env: Any, size: int, *shape: int) -> None:
        self.size, self._env, self._actions = size, env, random_actions(*(shape or (size,)))
        self._env.reset()

    def run(self, seconds: float) -> Stepped:
        """See `Row.run`."""
        start = now = time.perf_counter()
        calls = 0
        while calls == 0 or now - start < seconds:
            self._env.step(self._actions[calls % ACTIONS])
            calls += 1
            now = time.perf_counter()
        return Stepped(calls * self.size, now - start)

    def close(self) -> None:
        """See `Row.close`."""
        self._env.close()


def random_actions(*shape: int) -> np.ndarray:
    """`[ACTIONS, *shape, 4]` float32 in [-1, 1]."""
    return np.random.default_rng(0).uniform(-1, 1, (ACTIONS, *shape, 4)).astype(np.float32)
