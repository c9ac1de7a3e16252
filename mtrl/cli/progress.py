"""How a run goes on: a bar on a terminal, a quiet line per logged event otherwise."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn
from rich.progress import Progress as Bar

from mtrl.cli.tables import print_plain

Event = Mapping[str, Any]


class Progress:
    """Shows the events of one run; a context manager."""

    def __init__(self, console: Console, label: str, steps: int | None = None) -> None:
        """Take where to print, what the line begins with, and the number of steps if events do not tell."""
        self._console = console
        self._label = label
        self._steps = steps
        columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn()
        detail = TextColumn("{task.fields[detail]}")
        self._bar = Bar(*columns, detail, console=console, disable=not console.is_terminal)
        self._task = self._bar.add_task(label, total=steps, detail="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def update(self, event: Event) -> None:
        """Take one event of `agents.train` or `agents.evaluate`."""
        kind = event["kind"]
        if kind == "progress":
            self._steps = event["steps"]
            self._bar.update(
                self._task, total=self._steps, completed=event["step"], detail=self._detail(event)
            )
        elif kind == "train" and not self._console.is_terminal:
            share = f" ({event['step'] / self._steps:.0%})" if self._steps else ""
            self._print(f"step {event['step']:,}{share}, {self._detail(event)}")
        elif kind == "evaluation":
            any_step, final_step = mean_rate(event["success_any"]), mean_rate(event["success_final"])
            self._print(f"step {event['step']:,}, evaluation: any-step {any_step}, final-step {final_step}")

    def _print(self, text: str) -> None:
        print_plain(self._bar.console, f"{self._label}: {text}")

    def _detail(self, event: Event) -> str:
        """Speeds, success and time left, as far as the event has them."""
        parts = [
            f"{event[f'{what}_per_s']:,.0f} {what}/s"
            for what in ("steps", "updates")
            if f"{what}_per_s" in event
        ]
        if "success" in event or "success_mean" in event:
            success = event["success"] if "success" in event else {"mean": event["success_mean"]}
            parts.append(f"success {mean_rate(success)}")
        if self._steps and event.get("steps_per_s"):
            parts.append(f"{duration((self._steps - event['step']) / event['steps_per_s'])} left")
        return ", ".join(parts)


def mean_rate(rates: Mapping[str, float | None]) -> str:
    """The mean over tasks as text; a dash as long as some task has no episode."""
    known = [rate for rate in rates.values() if rate is not None]
    return f"{sum(known) / len(known):.2f}" if known and len(known) == len(rates) else "–"


def duration(seconds: float) -> str:
    """Hours, minutes and seconds, as `1:02:03` or `2:03`."""
    minutes, second = divmod(round(max(0.0, seconds)), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
