"""`mtrl watch RUN [RUN ...] --out FOLDER [--every S]`."""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from rich.console import Console

from mtrl.cli.one_line_parser import OneLineParser
from mtrl.cli.screen import Screen, print_plain, warn
from mtrl.cli.streams import tell
from mtrl.report import write_report
from mtrl.runs.errors import UserError
from mtrl.runs.reading import Warn
from mtrl.runs.run_state import FAILED, FINISHED, INTERRUPTED, RUNNING, RunState, all_runs, read_states

_DOES = (
    "Write the report of runs again and again while they train, until all are trained and evaluated, or until Ctrl-C. "
    "Seeds that begin meanwhile are taken up."
)


def run(words: list[str]) -> int:
    """Refresh a report; 0 also when it is interrupted, which is how it ends.

    It is 1 if all is through but runs that have failed or cannot be read, or a report that cannot be made: waiting
    mends none of them.
    """
    parser = OneLineParser("mtrl watch", _DOES)
    parser.add_argument(
        "runs", nargs="+", type=Path, metavar="RUN", help="a seed's folder, a folder of seeds, or a folder of runs"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where to write")
    parser.add_argument("--every", type=_seconds, default=30.0, metavar="S", help="seconds between reports; default 30")
    arguments = parser.parse_args(words)
    console, told = Screen(), set[str]()

    def warn_once(line: str) -> None:
        if line not in told:
            told.add(line)
            warn(line)

    all_runs(arguments.runs)  # a path that holds none is a mistake now, and later a run that was moved
    try:
        while True:
            problems: list[str] = []
            states = _states(arguments.runs, warn_once, problems)
            is_through = bool(states or problems) and all(state.is_complete or state.failure for state in states)
            _refresh(console, arguments.runs, arguments.out, states, warn_once, problems)
            if is_through:
                for line in problems:
                    tell(f"mtrl watch: error: {line}", sys.stderr)
                return 1 if problems else 0
            time.sleep(arguments.every)
    except KeyboardInterrupt:
        return 0


def _states(paths: Sequence[Path], warn_once: Warn, problems: list[str]) -> list[RunState]:
    """Of the runs that can be read; a line for each other one, and each that has failed, is added to `problems`."""
    try:
        states = read_states(all_runs(paths), problems.append)
    except UserError as error:
        warn_once(str(error))
        return []
    problems += [f"{state.name} has failed: {state.failure}" for state in states if state.failure]
    for line in problems:
        warn_once(line)
    return states


def _refresh(
    console: Console, paths: Sequence[Path], out: Path, states: Sequence[RunState], warn_once: Warn, problems: list[str]
) -> None:
    """Write the report once and say so in a line; why that could not be done is added to `problems`."""
    try:
        report = write_report(all_runs(paths), out, _unsaid)
    except UserError as error:
        problems.append(f"no report: {error}")
        warn_once(f"no report yet: {error}")
        return
    counts = Counter(state.state for state in states)
    text = ", ".join(f"{counts[name]} {name}" for name in (RUNNING, FINISHED, INTERRUPTED, FAILED) if counts[name])
    page = next((path for path in report.files if path.suffix == ".html"), report.files[0])
    print_plain(console, f"{datetime.now():%H:%M:%S} {text}: {page}")


def _unsaid(line: str) -> None:
    """The report lists what it leaves out; that a run has no evaluation yet is no news."""


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number of seconds above 0, got {text}")
    return seconds
