"""`mtrl convert FILE [FILE ...]`."""

from pathlib import Path

from mtrl.benchmarks import SupervisedConfig
from mtrl.cli.one_line_parser import OneLineParser
from mtrl.cli.screen import Screen, print_plain
from mtrl.runs import old_checkpoint
from mtrl.runs.folder import load_config
from mtrl.runs.identity import Identity, identity
from mtrl.runs.reading import is_supervised
from mtrl.supervised.benchmark_learner import Measured

_RECORDS = {"mtrl.supervised.learner.Measured": Measured}
"""Named tuples that older versions wrote, by the names that they had there."""
_DOES = (
    "Make checkpoints of supervised runs of version 0.1.0, which are pickles, files of this version, in their place. "
    "Agents of 0.1.0, whose networks and replay had another form, go on with that version alone. "
    f"Of what a pickle may call it trusts {old_checkpoint.trusted(_RECORDS)}, and nothing else: no program in it runs."
)


def run(words: list[str]) -> int:
    """Convert files, and say so."""
    parser = OneLineParser("mtrl convert", _DOES)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="in a run's folder of checkpoints")
    files = parser.parse_args(words).files
    console = Screen()
    print_plain(console, f"Trusted: {old_checkpoint.trusted(_RECORDS)}. A file that calls anything else is left alone.")
    for path in files:
        old_checkpoint.convert(path, _RECORDS, _run_of(path))
        print_plain(console, f"{path}: converted")
    return 0


def _run_of(path: Path) -> Identity | None:
    """The supervised run whose checkpoint it is."""
    folder = path.absolute().parent.parent
    if path.absolute().parent.name != "checkpoints" or not is_supervised(folder):
        return None
    config = load_config(folder, SupervisedConfig)
    return identity(config, config.seeds[0])
