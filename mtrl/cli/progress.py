"""How a run goes on: a bar and the tasks' success on a terminal, a quiet line per logged event otherwise."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, TaskProgressColumn, TextColumn
from rich.progress import Progress as Bar

from mtrl.cli.live_table import Success, success_table
from mtrl.cli.tables import print_plain

Event = Mapping[str, Any]

_AROUND = 4  # lines beside the table's rows: the bar, the header, the prompt


class Progress:
    """Shows the events of one run; a context manager."""

    def __init__(self, console: Console, label: str, steps: int = 1) -> None:
        """Take where to print, what a line begins with, and the steps of the run (an evaluation has none)."""
        self._console = console
        self._label = label
        self._steps = steps
        columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn()
        detail = TextColumn("{task.fields[detail]}")
        self._bar = Bar(*columns, detail, console=console)
        self._task = self._bar.add_task(label, total=1.0, detail="")
        self._success: Success = {}
        self._live = Live(console=console, transient=True, get_renderable=self._shown) if console.is_terminal else None

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def update(self, event: Event, label: str | None = None) -> None:
        """Take one event of `agents.train` or `agents.evaluate`; a label of its own if it is one seed's of several."""
        label = label or self._label
        kind = event["kind"]
        if kind == "progress":
            self._success = event.get("success", {})
            self._bar.update(self._task, completed=self._share(event), detail=self._detail(event))
        elif kind == "train" and not self._console.is_terminal:
            self._print(label, f"step {event['step']:,} ({self._share(event):.0%}), {self._detail(event)}")
        elif kind == "note":
            self._print(label, event["text"])
        elif kind == "evaluation":
            any_step, final_step = _mean(event["success_any"]), _mean(event["success_final"])
            self._print(label, f"step {event['step']:,}, evaluation: any-step {any_step}, final-step {final_step}")

    def _share(self, event: Event) -> float:
        """How much is done, in [0, 1]."""
        return event["share"] if "share" in event else event["step"] / self._steps

    def _print(self, label: str, text: str) -> None:
        print_plain(self._console, f"{label}: {text}")

    def _shown(self) -> Group:
        height = self._console.height - _AROUND
        return Group(self._bar, *([success_table(self._success, height)] if self._success else []))

    def _detail(self, event: Event) -> str:
        """Speeds, success and time left; an evaluation knows the time alone."""
        if "share" in event:
            return f"{duration(event['wall_s'] * (1 / event['share'] - 1))} left"
        success, speed = event["success_mean"], event["steps_per_s"]
        parts = [
            f"{speed:,.0f} steps/s",
            f"{event['updates_per_s']:,.0f} updates/s",
            "no episode yet" if success is None else f"success {success:.2f}",
        ]
        if speed > 0:
            parts.append(f"{duration((self._steps - event['step']) / speed)} left")
        return ", ".join(parts)


def duration(seconds: float) -> str:
    """Hours, minutes and seconds, as `1:02:03` or `2:03`."""
    minutes, second = divmod(round(max(0.0, seconds)), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def _mean(rates: Mapping[str, float]) -> str:
    return f"{sum(rates.values()) / len(rates):.2f}"
