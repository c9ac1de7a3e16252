"""The phases of a training and its progress, as events: phases as they begin, progress twice a second."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from mtrl.agents.pace import Budget, Pace
from mtrl.runs.events import PROGRESS_EVERY_S, Phase, Progress

STARTING, LOADING = "starting the simulators", "reading the checkpoint"
WARMUP, COMPILING, TRAINING = "warm-up with random actions", "compiling the update", "training"
EVALUATING, SAVING = "evaluating", "writing the checkpoint"

_COMPILED_FROM = 2  # the first update runs as it is written, the second compiles


def phase_event(phase: str) -> Phase:
    """Says that a phase begins."""
    return {"kind": "phase", "phase": phase}


class Phases:
    """The phase that a training is in, and its pace.

    Args:
        budget: of the run.
        is_compiled: whether the update is.
        tell: told when another phase begins.
    """

    def __init__(self, budget: Budget, is_compiled: bool, tell: Callable[[Phase], None]) -> None:
        self.pace = Pace(budget)
        self._is_compiled, self._tell = is_compiled, tell
        self._phase = ""
        self._updates = 0  # in this process
        self._last_progress = time.monotonic()

    def enter(self, phase: str) -> None:
        """Another phase begins, or the same goes on."""
        if phase != self._phase:
            self._phase = phase
            self._tell(phase_event(phase))

    @contextmanager
    def timing(self, phase: str, measured: Callable[[float], None]) -> Iterator[None]:
        """A phase of its own; its seconds are given to a method of the pace."""
        before = self._phase
        self.enter(phase)
        began = time.monotonic()
        yield
        measured(time.monotonic() - began)
        if before:
            self.enter(before)

    @contextmanager
    def vector_step(self, num_updates: int) -> Iterator[None]:
        """One vector step with so many updates, none for a warm-up's."""
        compiles = bool(num_updates) and self._is_compiled and self._updates < _COMPILED_FROM
        self.enter(COMPILING if compiles else TRAINING if num_updates else WARMUP)
        graphs = self._compiled_graphs(num_updates)
        began = time.monotonic()
        yield
        seconds = time.monotonic() - began
        self._updates += num_updates
        if not num_updates:
            self.pace.warmed_up(seconds)
        elif not compiles and self._compiled_graphs(num_updates) == graphs:
            self.pace.learned(seconds)

    def is_due(self) -> bool:
        """Whether it is time to tell the progress."""
        due = time.monotonic() - self._last_progress >= PROGRESS_EVERY_S
        if due:
            self._last_progress = time.monotonic()
        return due

    def progress(self, step: int, updates_per_vector_step: int) -> Progress:
        """Speeds, in steps and updates of each replica a second, and seconds left; None for what is not known yet."""
        pace = self.pace
        learns = self._phase != WARMUP
        seconds = (pace.learning if learns else pace.warmup).mean()
        updates = updates_per_vector_step if learns else 0
        return {
            "kind": "progress",
            "steps": pace.budget.steps,
            "steps_per_s": pace.budget.steps_per_vector_step / seconds if seconds else None,
            "updates_per_s": updates / seconds if seconds else None,
            "left_s": pace.left_s(step),
            "learned_s": pace.learned_s,
        }

    def _compiled_graphs(self, num_updates: int) -> int:
        """Graphs that torch has compiled in this process; one more where another kind of update comes later."""
        if not (self._is_compiled and num_updates):
            return 0
        return int(torch._dynamo.utils.counters["stats"]["unique_graphs"])
