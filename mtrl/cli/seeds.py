"""What the training commands share: arguments, the folders of all seeds, how to go on, and the report at the end."""

import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

from rich.console import Console

from mtrl import report
from mtrl.cli.arguments import parse_arguments
from mtrl.cli.progress import Progress
from mtrl.cli.screen import Screen, print_plain, show_report, warn
from mtrl.cli.streams import tell
from mtrl.cli.train_help import train_help
from mtrl.runs.section import RunConfig
from mtrl.runs.stop_signals import termination_interrupts
from mtrl.runs.yaml_file import dump_yaml

_FAILED, _INTERRUPTED = 2, 130
C = TypeVar("C", bound=RunConfig)


class Outcome(NamedTuple):
    """How the training of all seeds ended."""

    interrupted: bool
    failures: tuple[str, ...] = ()
    """A line for each that the others went on without."""


def train_seeds(
    command: str,
    does: str,
    example: str,
    kind: type[C],
    words: list[str],
    train: Callable[[C, Mapping[int, Path], bool, Console], Outcome],
) -> int:
    """Run a training command; 130 if it was interrupted, and then how to resume is printed; 2 if seeds failed.

    Args:
        command: its name, as in `mtrl train`.
        does: what its help says of it.
        example: a configuration file, for the help.
        kind: of its configuration.
        words: that the user gave after the name.
        train: trains and evaluates the seeds in these folders, given the configuration, whether to resume, and where to
            print.
    """
    if {"-h", "--help"} & set(words):
        print(train_help(f"mtrl {command}", does, kind))
        return 0
    arguments = parse_arguments(words, kind, example)
    config, console = arguments.config, Screen()
    if arguments.print_config:
        print(dump_yaml(config.model_dump(mode="json")), end="")
        return 0
    report.check_drawing()
    root, folders = config.folder, config.folders
    try:
        with termination_interrupts():
            outcome = train(config, folders, arguments.resume, console)
    except KeyboardInterrupt:
        outcome = Outcome(interrupted=True)
    for line in outcome.failures:
        tell(f"mtrl {command}: error: {line}", sys.stderr)
    if outcome.interrupted:
        again = shlex.join(["mtrl", command, *(word for word in words if word != "--resume"), "--resume"])
        print_plain(console, f"Interrupted. To go on: {again}")
        return _INTERRUPTED
    if len(outcome.failures) < len(folders):
        with Progress(console, config.name) as progress:
            progress.update({"kind": "phase", "phase": "writing the report"})
            written = report.write_report([root], root / "report", warn)
        show_report(console, written)
    print_plain(console, f"Runs:   {root}")
    return _FAILED if outcome.failures else 0
