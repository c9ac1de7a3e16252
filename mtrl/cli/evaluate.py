"""`mtrl evaluate RUN [--protocol modern|legacy] [--episodes N] [--device D]`."""

import argparse
from pathlib import Path

from mtrl import agents
from mtrl.agents import shipped
from mtrl.cli.one_line_parser import OneLineParser
from mtrl.cli.progress import Progress
from mtrl.cli.screen import Screen, show_evaluation
from mtrl.protocols import EVALUATION_FILES
from mtrl.runs.reading import find_runs

_DOES = (
    "Evaluate a run. Protocol modern: the newest checkpoint, V2 rewards, 50 goals. Protocol legacy: the best of the "
    "evaluations logged during training, for runs with the settings of the old tables; biased upwards."
)


def run(words: list[str]) -> int:
    """Evaluate every seed of a run and print a table for each."""
    parser = OneLineParser("mtrl evaluate", _DOES)
    parser.add_argument("run", type=Path, metavar="RUN", help=shipped.RUN)
    parser.add_argument("--protocol", choices=tuple(EVALUATION_FILES), help="the run's own by default")
    parser.add_argument(
        "--episodes", type=_positive, metavar="N", help="per task, of modern; the run's own number by default"
    )
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:1 or auto (the default)")
    arguments = parser.parse_args(words)
    console = Screen()
    for folder in find_runs([shipped.at_hand(arguments.run)]):
        with Progress(Screen(stderr=True), f"evaluate {folder.name}") as progress:
            record = agents.evaluate(
                folder,
                protocol=arguments.protocol,
                episodes=arguments.episodes,
                device=arguments.device,
                on_event=progress.update,
            )
        show_evaluation(console, folder, record)
    return 0


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"must be a whole number above 0, got {text}")
    return int(text)
