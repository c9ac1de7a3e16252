"""The driver: gives trials to an engine until none is left, and decides what goes on elsewhere."""

import contextlib
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mtrl.sweep import reach
from mtrl.sweep.engine import Ended, Engine, How, Order
from mtrl.sweep.trials import Trial

_ASKED_EVERY_S = 0.2  # whether a signal has come
_BUSY_S = 5.0  # before a folder that another process trains in is tried again


class Listener(Protocol):
    """Is told what happens; the screen."""

    def begun(self, trial: Trial) -> None:
        """It was given to the engine, which may begin it later."""

    def ended(self, trial: Trial, ended: Ended, again: bool) -> None:
        """An attempt has ended; with `again`, another one follows."""

    def note(self, text: str) -> None:
        """Something of the whole sweep."""

    def look(self) -> None:
        """Called several times a second."""


@dataclass
class Result:
    """How a sweep ended."""

    finished: int = 0
    """Trials of this call."""
    failed: list[tuple[Trial, str]] = field(default_factory=list)
    """With the reason, a line each."""
    waiting: int = 0
    """Trials that were not finished, because of an interruption or a halt."""
    halted: str = ""
    """Why no more trials were begun; empty if they were."""


class _Driver:
    def __init__(
        self, orders: Sequence[Order], engine: Engine, stop: Sequence[int], listener: Listener, retries: int
    ) -> None:
        self.engine, self.retries, self.stop, self.listener = engine, retries, stop, listener
        self.waiting = deque(orders)
        self.later: list[tuple[float, Order]] = []
        self.running = 0
        self.lost: Counter[str] = Counter()
        self.result = Result()

    @property
    def _ends(self) -> bool:
        return bool(self.stop or self.result.halted)

    def run(self) -> Result:
        asked = False
        while self.running or ((self.waiting or self.later) and not self._ends):
            self._submit()
            if self.stop and not asked:
                asked = True
                self.listener.note("stopping, with checkpoints")
                self.engine.stop()
            for order, ended in self.engine.wait(_ASKED_EVERY_S):
                self.running -= 1
                self._take(order, ended)
            self.listener.look()
        self.result.waiting += len(self.waiting) + len(self.later)
        return self.result

    def _submit(self) -> None:
        now = time.monotonic()
        self.waiting.extend(order for due, order in self.later if due <= now)
        self.later = [(due, order) for due, order in self.later if due > now]
        while self.waiting and not self._ends and self.engine.room() > 0:
            order = self.waiting.popleft()
            self.running += 1
            self.listener.begun(order.trial)
            self.engine.submit(order)

    def _take(self, order: Order, ended: Ended) -> None:
        trial, result = order.trial, self.result
        if ended.how is How.HALTED:
            result.halted = result.halted or ended.line
        elif ended.how is How.FINISHED:
            with contextlib.suppress(OSError):  # what is finished counts more
                reach.forget_failure(trial)
            result.finished += 1
        elif ended.how is How.FAILED:
            self._failed(trial, ended)
        is_over = ended.how in (How.FINISHED, How.FAILED)
        again = not (is_over or self._ends)
        if not is_over and self._ends:
            result.waiting += 1
            if ended.how is not How.HALTED:  # killed before it could write a checkpoint: it goes on as others do
                ended = ended._replace(how=How.INTERRUPTED)
        elif again:
            self.lost[trial.key] += 1
            again = self.lost[trial.key] <= self.retries
            if not again:
                ended = ended._replace(line=f"{ended.line or ended.how.value}, {self.lost[trial.key]} times")
                self._failed(trial, ended)
            elif ended.how is How.BUSY:
                self.later.append((time.monotonic() + _BUSY_S, order))
            else:
                self.waiting.appendleft(order)
        self.listener.ended(trial, ended, again)

    def _failed(self, trial: Trial, ended: Ended) -> None:
        self.result.failed.append((trial, ended.line))
        try:
            reach.record_failure(trial, ended.line, ended.trace)
        except OSError as error:
            self.result.halted = self.result.halted or f"cannot write in {trial.config.folder}: {error.strerror}"


def drive(orders: Sequence[Order], engine: Engine, stop: Sequence[int], listener: Listener, retries: int) -> Result:
    """Has orders carried out, in their order, until the trials of all are finished or have failed.

    Once `stop` holds a signal, none is begun, and those that run write checkpoints. An attempt that was lost with its
    process is made again. The disk full, say, no more trials are begun either, and those that run go on.

    Args:
        orders: of trials that are not finished.
        engine: carries them out; it is not closed here.
        stop: signals that have come.
        listener: told of everything.
        retries: attempts at a trial after the first, at most.
    """
    return _Driver(orders, engine, stop, listener, retries).run()
