"""`mtrl push RUN REPO [--seed K] [--private]`."""

import tempfile
from pathlib import Path

from mtrl.cli.one_line_parser import OneLineParser
from mtrl.cli.policy_files import check_target, write_policy
from mtrl.cli.screen import Screen, print_plain
from mtrl.runs import hub
from mtrl.runs.reading import seed_folder

_DOES = (
    "Put the policy of a run's newest checkpoint, its configuration, evaluations and a model card into a repository "
    'of the Hugging Face Hub, from which `MultiTaskSAC.load("hub:OWNER/NAME")` has the agent.'
)


def run(words: list[str]) -> int:
    """Upload, and print where it is."""
    parser = OneLineParser("mtrl push", _DOES)
    parser.add_argument("run", type=Path, metavar="RUN", help="a seed's folder, or a folder of seeds")
    parser.add_argument("repository", metavar="REPO", help="owner/name; a folder that exists, a clone say, is filled")
    parser.add_argument("--seed", type=int, metavar="K", help="of a folder of seeds; the first by default")
    parser.add_argument("--private", action="store_true", help="if the repository is made, it is its owner's alone")
    arguments = parser.parse_args(words)
    folder, to = seed_folder(arguments.run, arguments.seed), arguments.repository
    console = Screen()
    if Path(to).is_dir():
        check_target(folder, Path(to))
        write_policy(folder, Path(to), to)
        print_plain(console, to)
        return 0
    with tempfile.TemporaryDirectory() as made:
        write_policy(folder, Path(made), f"{hub.PREFIX}{to}")
        print_plain(console, hub.upload(Path(made), to, arguments.private))
    return 0
