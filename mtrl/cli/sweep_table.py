"""How a sweep stands: one table on a terminal, lines otherwise."""

import time
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.live import Live
from rich.table import Table

from mtrl.cli.progress import QUIET_S
from mtrl.cli.screen import duration, print_plain, rate
from mtrl.report.table import NOTHING
from mtrl.runs.claim import attempts
from mtrl.runs.events import score_texts
from mtrl.supervised import SupervisedRunConfig
from mtrl.sweep import Ended, How, Trial, reach

_READ_EVERY_S = 2.0
_AROUND = 6  # lines beside those of the trials


class SweepTable:
    """The listener of a sweep (`mtrl.sweep.driving.Listener`), and a context manager.

    Args:
        console: where to print.
        name: of the sweep.
        waiting: trials that are to be carried out.
        done: how many are finished already.
        failed: how many have failed before.
    """

    def __init__(self, console: Console, name: str, waiting: Sequence[Trial], done: int, failed: int) -> None:
        self._console, self._name = console, name
        self._waiting: dict[str, Trial] = {}
        self._first: dict[str, int] = {}  # what each had reached before it was begun
        self._given: dict[str, tuple[Trial, int]] = {}  # to the engine, with the attempts that there were before
        self._running: dict[str, Trial] = {}
        self._reached: dict[str, reach.Reached] = {}
        self._began: dict[str, float] = {}  # when each was given, and then when it was seen to run
        self._came: dict[str, float] = {}  # when each was seen to have come as far as it has
        self._done, self._failed = done, failed
        self._ended_units, self._ended_s = 0, 0.0
        self._read = self._printed = time.monotonic()
        for trial in waiting:
            self._waits(trial)
        self._live = Live(console=console, transient=True, get_renderable=self._shown) if console.is_terminal else None

    def __enter__(self) -> "SweepTable":
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._live:
            self._live.stop()

    def begun(self, trial: Trial) -> None:
        """See `Listener`."""
        self._waiting.pop(trial.key, None)
        self._given[trial.key] = trial, _attempts(trial)
        self._began[trial.key] = time.monotonic()

    def ended(self, trial: Trial, ended: Ended, again: bool) -> None:
        """See `Listener`."""
        self._given.pop(trial.key, None)
        self._running.pop(trial.key, None)
        self._reached.pop(trial.key, None)
        why = f": {ended.line}" if ended.line else ""
        if ended.how is How.FINISHED:
            self._done += 1
            self._ended_units += reach.budget(trial) - self._first[trial.key]
            self._ended_s += time.monotonic() - self._began[trial.key]
            self._line(f"{trial.key}: finished")
        elif again:
            self._waits(trial)
            self.note(f"{trial.key}: {ended.how.value}{why}; it will go on from its newest checkpoint")
        elif ended.how in (How.INTERRUPTED, How.HALTED):
            self._waits(trial)
            self.note(f"{trial.key}: {ended.how.value}{why}")
        else:
            self._failed += 1
            self.note(f"{trial.key}: failed{why}")

    def _waits(self, trial: Trial) -> None:
        self._waiting[trial.key] = trial
        self._first[trial.key] = reach.reached(trial).done

    def note(self, text: str) -> None:
        """See `Listener`."""
        self._printed = time.monotonic()
        print_plain(self._console, f"{self._name}: {text}")

    def look(self) -> None:
        """See `Listener`."""
        now = time.monotonic()
        if now - self._read >= _READ_EVERY_S:
            self._read = now
            for trial, before in [*self._given.values()]:
                if _attempts(trial) != before:
                    del self._given[trial.key]
                    self._running[trial.key] = trial
                    self._began[trial.key] = now
                    self._line(f"{trial.key}: begins")
            self._look_at_running(now)
        if not self._live and now - self._printed >= QUIET_S:
            self.note(self.summary())

    def _look_at_running(self, now: float) -> None:
        before = self._reached
        self._reached = {key: reach.reached(trial) for key, trial in self._running.items()}
        for key, (done, _) in self._reached.items():
            self._first[key] = min(self._first[key], done)  # a run that goes on does so from its last checkpoint
            if key not in before or done != before[key].done:
                self._came[key] = now

    def summary(self) -> str:
        """Counts, the rate and the time left."""
        counts = {
            "waiting": len(self._waiting) + len(self._given),
            "running": len(self._running),
            "done": self._done,
            "failed": self._failed,
        }
        parts = [", ".join(f"{count:,} {what}" for what, count in counts.items())]
        # What a trial takes: over the time up to the newest line of its log, not what came since.
        steps, seconds = self._ended_units, self._ended_s
        for key, (done, _) in self._reached.items():
            if done > self._first[key]:
                steps, seconds = steps + done - self._first[key], seconds + self._came[key] - self._began[key]
        if steps > 0 and seconds > 0:
            per_s = steps / seconds * max(1, len(self._running))
            given = {key: trial for key, (trial, _) in self._given.items()}
            unfinished = {**self._waiting, **given, **self._running}
            left = sum(reach.budget(trial) for trial in unfinished.values())
            left -= sum(self._reached[key].done if key in self._reached else self._first[key] for key in unfinished)
            unit = "epochs" if any(isinstance(t.config, SupervisedRunConfig) for t in unfinished.values()) else "steps"
            parts += [rate(per_s, unit), f"{duration(left / per_s)} left"]
        return "; ".join(parts)

    def _line(self, text: str) -> None:
        """A line of a log; the table says it itself."""
        if not self._live:
            self.note(text)

    def _shown(self) -> Table:
        table = Table(title=f"{self._name}: {self.summary()}", title_justify="left", box=None, header_style="dim")
        for name in ("running", "share", "so far"):
            table.add_column(name, justify="left" if name == "running" else "right")
        rows = [*self._running.items()][: max(1, self._console.height - _AROUND)]
        for key, trial in rows:
            at = self._reached.get(key, reach.Reached(self._first[key], {}))
            table.add_row(key, f"{at.done / reach.budget(trial):.0%}", _words(at.so_far) or NOTHING)
        if more := len(self._running) - len(rows):
            table.add_row(f"and {more} more")
        return table


def _words(so_far: Mapping[str, float]) -> str:
    """`success 0.40`, or what there is in its place."""
    parts = score_texts(so_far)
    return ", ".join([*parts, *([f"loss {so_far['loss']:.3g}"] if "loss" in so_far else [])])


def _attempts(trial: Trial) -> int:
    return attempts(next(iter(trial.folders.values())))
