"""One of the things that go on at once, a process with its seeds say: its phase, and the last that it told."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Self

from mtrl.cli.screen import duration
from mtrl.runs.events import SCORES, Progress, ScoreMeans, ScoreName, score_texts

_STARTING = "starting"
_UNSAID = ("training", "")  # go without saying where it is said how far they are
_STALE_S = 10.0


@dataclass(frozen=True)
class Part:
    """Where a part stands, as of its last event. Times are those of a monotonic clock, in seconds."""

    label: str
    since: float
    """When the phase began."""
    phase: str = _STARTING
    progress: Progress | None = None
    """The last one of this phase, or of training where it has come back to that."""
    heard: float = 0.0
    """When it was told."""
    told_in: str = ""
    """The phase in which it was told."""

    def entered(self, phase: str, now: float) -> Self:
        """The part in another phase."""
        return replace(self, phase=phase, since=now)

    def progressed(self, event: Progress, now: float) -> Self:
        """The part after a progress event; one that tells no phases has begun with the first."""
        phase = "" if self.phase == _STARTING else self.phase
        return replace(self, phase=phase, progress=event, heard=now, told_in=phase)

    @property
    def current(self) -> Progress | None:
        """The progress, if it is of this phase."""
        return self.progress if self.told_in == self.phase else None


def text(parts: Sequence[Part], now: float, later_s: float = 0.0) -> str:
    """What parts in one phase do: the phase and how long already, or how far it is.

    Args:
        parts: one at least.
        now: the time.
        later_s: what comes after all of these.
    """
    phase = parts[0].phase
    known = [(part.current, part.heard) for part in parts if part.current is not None]
    if not known:
        return f"{phase} for {duration(now - min(part.since for part in parts))}"
    words = detail(merged([event for event, _ in known if event is not None]), len(known), later_s)
    stale_s = now - min(heard for _, heard in known)
    return ", ".join(
        [
            *([] if phase in _UNSAID else [phase]),
            words,
            *([f"this step takes {duration(stale_s)} so far"] if stale_s > _STALE_S else []),
        ]
    )


def merged(events: Sequence[Progress]) -> Progress:
    """One progress for those of several parts: the least step, mean speeds, the longest time left."""
    if len(events) == 1:
        return events[0]
    if "share" in events[0]:
        share, wall_s = sum(e["share"] for e in events) / len(events), max(e["wall_s"] for e in events)
        return {"kind": "progress", "share": share, "wall_s": wall_s, "left_s": left_s(events)}
    means: ScoreMeans = {}
    for kind in SCORES:
        if any(kind in event for event in events):
            means[kind] = _mean(events, kind)
    return {
        "kind": "progress",
        "step": min(event["step"] for event in events),
        "left_s": left_s(events),
        "steps_per_s": _mean(events, "steps_per_s"),
        "updates_per_s": _mean(events, "updates_per_s"),
        "steps": events[0]["steps"],
        **means,
    }


def left_s(events: Sequence[Progress]) -> float | None:
    """Seconds until the last of several parts is done; None if that is not known."""
    known = [left for event in events if (left := event.get("left_s")) is not None]
    return max(known) if len(known) == len(events) else None


def detail(event: Progress, num_parts: int = 1, later_s: float = 0.0) -> str:
    """How far, how fast, success, and the time left; what is not known is left out."""
    left = event.get("left_s")
    if "share" in event:
        if left is None:
            left = event["wall_s"] * (1 / event["share"] - 1)
        return f"{event['share']:.0%}, {duration(left + later_s)} left"
    each = " each" if num_parts > 1 else ""
    parts = [f"step {event['step']:,} ({event['step'] / event['steps']:.0%})"]
    if (steps_per_s := event.get("steps_per_s")) is not None:
        parts.append(f"{steps_per_s:,.0f} steps/s{each}")
    if updates_per_s := event.get("updates_per_s"):
        parts.append(f"{_rate(updates_per_s)} updates/s{each}")
    parts += score_texts(event) or ["no episode yet"]
    if left is not None:
        parts.append(f"{duration(left + later_s)} left")
    return ", ".join(parts)


def _rate(per_s: float) -> str:
    return f"{per_s:,.0f}" if per_s >= 10 else f"{per_s:.2g}"


def _mean(events: Sequence[Progress], name: Literal["steps_per_s", "updates_per_s"] | ScoreName) -> float | None:
    values: list[float | None] = [event[name] for event in events if name in event]
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
