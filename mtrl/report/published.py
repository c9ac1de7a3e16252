"""Published MT10 numbers, read from `published.csv`; the protocol that made a number is told with it, always."""

import csv
from dataclasses import dataclass
from functools import cache
from importlib import resources

from mtrl.protocols import BIAS, LEGACY, MODERN
from mtrl.report.table import NOTHING, Table, text_table

OTHER = "other"
PROTOCOLS = (MODERN, LEGACY, OTHER)
_MEANING = {
    MODERN: "V2 rewards, 50 goals, horizon 500, 50 episodes a task, any-step success at the end of training",
    LEGACY: "V1 rewards, one goal, horizon 150, one episode a task, best over evaluations; " + BIAS,
    OTHER: "each as its note says; not comparable with one another",
}


@dataclass(frozen=True)
class Published:
    """One number of the literature."""

    method: str
    value: float
    """Mean success, in [0, 1]."""
    interval: float | None
    """What the source prints behind its plus-minus, mostly a standard error; None if it prints nothing."""
    protocol: str
    """One of `PROTOCOLS`."""
    seeds: int | None
    """None if it is not stated."""
    steps_per_task: int | None
    source: str
    read_in: str
    """Where it was read: the paper's table, a figure, another's quotation."""
    note: str

    @property
    def text(self) -> str:
        """The value, with its interval if the source prints one."""
        known = (self.value,) if self.interval is None else (self.value, self.interval)
        return " ± ".join(f"{number:.3f}".removesuffix("0") for number in known)


def published_rows(protocol: str) -> list[Published]:
    """The numbers under one protocol, best first.

    Args:
        protocol: one of `PROTOCOLS`.

    Raises:
        ValueError: it is none.
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f"protocol must be one of {', '.join(PROTOCOLS)}, got {protocol!r}")
    return sorted((row for row in _all() if row.protocol == protocol), key=lambda row: -row.value)


def published_caption(protocol: str) -> str:
    """What the protocol of such numbers is, a sentence."""
    return f"Published, protocol {protocol}: {_MEANING[protocol]}."


def published_table(protocol: str) -> Table:
    """The numbers under one protocol as a table; see `published_rows`."""
    header = ["method", "success", "protocol", "seeds", "steps per task", "source", "read in", "note"]
    cells = [
        [
            row.method,
            row.text,
            row.protocol,
            _count(row.seeds),
            _count(row.steps_per_task),
            row.source,
            row.read_in,
            row.note,
        ]
        for row in published_rows(protocol)
    ]
    return text_table("Published numbers", header, cells, "published", [published_caption(protocol)])


@cache
def _all() -> tuple[Published, ...]:
    text = (resources.files("mtrl.report") / "published.csv").read_text(encoding="utf-8")
    return tuple(
        Published(
            method=row["method"],
            value=float(row["value"]),
            interval=float(row["interval"]) if row["interval"] else None,
            protocol=row["protocol"],
            seeds=int(row["seeds"]) if row["seeds"] else None,
            steps_per_task=int(row["steps_per_task"]) if row["steps_per_task"] else None,
            source=row["source"],
            read_in=row["read_in"],
            note=row["note"],
        )
        for row in csv.DictReader(text.splitlines())
    )


def _count(number: int | None) -> str:
    return NOTHING if number is None else f"{number:,}"
