"""`mtrl status [RUNS ...]`."""

from collections.abc import Iterable
from pathlib import Path

from mtrl.cli.one_line_parser import OneLineParser
from mtrl.cli.screen import Screen, duration, rate, show_table, warn
from mtrl.report.table import NOTHING
from mtrl.runs.errors import UserError
from mtrl.runs.run_state import RunState, all_runs, read_states

_CAPTION = (
    "So far: mean success of the recent training episodes, with the exploring policy; metrics of a supervised run. "
    "Left: at the last rate. Seen: since the run last wrote something."
)
_RUNS = Path("runs")


def run(words: list[str]) -> int:
    """Print a line for every seed of every run."""
    parser = OneLineParser("mtrl status", "Print where runs stand.")
    parser.add_argument(
        "runs",
        nargs="*",
        type=Path,
        default=[_RUNS],
        metavar="RUN",
        help="a seed's folder, a folder of seeds, or a folder of runs; runs by default",
    )
    runs = parser.parse_args(words).runs
    if runs == [_RUNS] and not _RUNS.exists():
        raise UserError(f"there is no folder {_RUNS} here: go where the runs were trained, or name a folder")
    show_table(Screen(), "Runs", table(read_states(all_runs(runs), warn, warn)), _CAPTION)
    return 0


def table(states: Iterable[RunState]) -> tuple[list[str], list[list[str]]]:
    """Header and text cells, a row a seed."""
    header = ["run", "state", "done", "share", "so far", "rate", "left", "seen", "evaluation"]
    return header, [_row(state) for state in states]


def _row(state: RunState) -> list[str]:
    return [
        state.name,
        state.state,
        f"{state.done:,} {state.unit}",
        f"{state.share:.0%}",
        state.so_far or NOTHING,
        NOTHING if state.rate is None else rate(state.rate, state.unit),
        NOTHING if state.left_s is None else duration(state.left_s),
        NOTHING if state.age_s is None else f"{duration(state.age_s)} ago",
        state.evaluation or NOTHING,
    ]
