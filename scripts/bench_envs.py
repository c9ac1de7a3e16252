"""How fast Meta-World's MT10 is stepped: gymnasium, stable-baselines3, `mtrl.envs.make` and EnvPool beside the C limit.

    python -m scripts.bench_envs [--envs 10 40] [--workers 4] [--seconds 1.5] [--rounds 5] [--rows ...] [--out FILE]

Every row lives in a process of its own. Start-up is from its first import to the end of its first step; memory is that
of its process tree then. After that the rows of one size take turns, so that they meet the same load: steps/s are
environment steps summed over environments, resets included, with random actions; a ratio is the median over rounds of
the ratio to the same round's AsyncVectorEnv or C limit. `--out` takes .md or .json.
"""

import argparse
import json
import os
import statistics
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from mtrl.cores import available_cores
from mtrl.report.table import markdown
from scripts.envs_bench.catalog import LIMIT, ONE_CORE, REFERENCE, ROWS
from scripts.envs_bench.memory import available_gib
from scripts.envs_bench.served import RowError, Served
from scripts.machine import machine_line

_SHARE_OF_MEMORY = 0.7  # that the rows of one size may take together
_WARM_UP_S = 0.3


@dataclass(frozen=True)
class Cell:
    """A measured row of one size."""

    row: str
    envs: int
    one_core: bool
    start_up_s: float
    mib: float
    steps_per_s: list[float]
    """Of each round."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the tables, write them."""
    options = parse(arguments)
    rows = [name for name in options.rows if not missing(name)]
    cells = []
    for size in options.envs:
        cells += measure(rows, size, options)
    core = max(os.sched_getaffinity(0))
    single = [name for name in rows if name in ONE_CORE]
    if options.one_core and single:
        cells += measure(single, options.envs[0], options, core)
    packages = {"gymnasium", "metaworld", "mujoco"} | {
        package.replace("_", "-") for name in rows if (package := ROWS[name].needs)
    }
    machine = f"{available_cores()} cores, {options.workers} workers; {machine_line(packages, ['cpu'])}"
    text = f"{tables(cells)}\n\n{machine}"
    print(text)
    if options.out is not None:
        record = json.dumps({"cells": [asdict(cell) for cell in cells], "machine": machine}, indent=2)
        options.out.write_text((record if options.out.suffix == ".json" else text) + "\n")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--envs", type=int, nargs="+", default=[10, 40], help="sizes, multiples of ten")
    parser.add_argument("--workers", type=int, default=available_cores(), help="processes where there is a choice")
    parser.add_argument("--seconds", type=float, default=1.5, help="of a row in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--rows", nargs="+", default=list(ROWS), choices=list(ROWS), metavar="ROW", help=", ".join(ROWS)
    )
    parser.add_argument("--no-one-core", dest="one_core", action="store_false", help="skip the table of one core")
    parser.add_argument("--out", type=Path, help="also write the tables, or the figures if it ends in .json")
    options = parser.parse_args(arguments)
    for name in ("workers", "rounds", "seconds"):
        if getattr(options, name) <= 0:
            parser.error(f"--{name} needs to be above 0, got {getattr(options, name)}")
    for size in options.envs:
        if size < 10 or size % 10:
            parser.error(f"--envs needs multiples of 10, the tasks of MT10, got {size}")
    return options


def missing(name: str) -> bool:
    """Whether the row's package is not there; then that is said."""
    entry = ROWS[name]
    if entry.is_missing:
        leave_out(entry.title, f"{entry.needs} is not installed")
    return entry.is_missing


def leave_out(title: str, reason: str) -> None:
    """Say that a row is left out, and why."""
    print(f"left out: {title}: {reason}", file=sys.stderr)


def measure(names: Iterable[str], size: int, options: argparse.Namespace, core: int | None = None) -> list[Cell]:
    """The rows of one size, all alive, in turns; on one core if one is given."""
    served: dict[str, Served] = {}
    speeds: dict[str, list[float]] = {}
    workers = 1 if core is not None else options.workers
    room = _SHARE_OF_MEMORY * available_gib()
    try:
        for name in names:
            title, needed = ROWS[name].title, ROWS[name].gib_per_env * size
            if needed > room:
                leave_out(f"{title}, {size} environments", f"needs about {needed:.0f} GiB, {room:.0f} are to be had")
                continue
            try:
                served[name] = Served(name, size, workers, core)
            except RowError as error:
                leave_out(f"{title}, {size} environments", str(error))
                continue
            room -= served[name].mib / 1024
            served[name].run(min(_WARM_UP_S, options.seconds))
        for _ in range(options.rounds):
            for name, row in served.items():
                done = row.run(options.seconds)
                speeds.setdefault(name, []).append(done.steps / done.seconds)
        return [
            Cell(name, size, core is not None, row.start_up_s, row.mib, speeds[name]) for name, row in served.items()
        ]
    finally:
        for row in served.values():
            row.close()


def tables(cells: Sequence[Cell]) -> str:
    """Markdown: a table of all cores, and one of one core."""
    parallel = [cell for cell in cells if not cell.one_core]
    single = [cell for cell in cells if cell.one_core]
    header = ["MT10", "environments", "start-up, s", "memory, MiB", "steps/s, best", "median"]
    rows = [
        [
            *(ROWS[cell.row].title, str(cell.envs), f"{cell.start_up_s:.1f}", f"{cell.mib:,.0f}"),
            *(f"{max(cell.steps_per_s):,.0f}", f"{statistics.median(cell.steps_per_s):,.0f}"),
            *(against(cell, other, parallel) for other in (REFERENCE, LIMIT)),
        ]
        for cell in parallel
    ]
    found = markdown([*header, "x AsyncVectorEnv", "x C limit"], rows)
    if not single:
        return found
    rows = []
    for cell in single:
        best, median = 1e6 / max(cell.steps_per_s), 1e6 / statistics.median(cell.steps_per_s)
        rows.append([ROWS[cell.row].title, str(cell.envs), f"{best:.0f}", f"{median:.0f}"])
    header = ["MT10 on one core, one worker", "environments", "us a step, best", "median"]
    return f"{found}\n\n{markdown(header, rows)}"


def against(cell: Cell, name: str, cells: Sequence[Cell]) -> str:
    """The median over rounds of the ratio to another row of this size; a dash if that was not measured."""
    for other in cells:
        if (other.row, other.envs) == (name, cell.envs):
            pairs = zip(cell.steps_per_s, other.steps_per_s, strict=True)
            return f"{statistics.median(a / b for a, b in pairs):.2f}"
    return "-"


if __name__ == "__main__":
    main()
