"""`mtrl export RUN [--seed K] [--format onnx|torch|all] [--out DIR]`."""

from pathlib import Path

from mtrl.agents import shipped
from mtrl.agents.export import FORMATS, export_policy
from mtrl.cli.one_line_parser import OneLineParser
from mtrl.cli.screen import Screen, print_plain
from mtrl.runs.reading import seed_folder

_ALL = "all"
_DOES = (
    "Write the newest checkpoint's deterministic policy as files that need none of this: actions [N, A] in (-1, 1) of "
    "observations [N, O] (float32) and task indices [N] (int64). Their metadata name the tasks in order."
)


def run(words: list[str]) -> int:
    """Write the files, and print for each how it is used."""
    parser = OneLineParser("mtrl export", _DOES)
    parser.add_argument("run", type=Path, metavar="RUN", help=shipped.RUN)
    parser.add_argument("--seed", type=int, metavar="K", help="of a folder of seeds; the first by default")
    parser.add_argument("--format", choices=(*FORMATS, _ALL), default=_ALL, help="torch is torch.export's .pt2")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="where to write; by default export in the seed's folder"
    )
    arguments = parser.parse_args(words)
    folder = seed_folder(shipped.at_hand(arguments.run), arguments.seed)
    formats = FORMATS if arguments.format == _ALL else (arguments.format,)
    console = Screen()
    for exported in export_policy(folder, arguments.out or folder / "export", formats):
        print_plain(console, f"{exported.path}\n")
        print_plain(console, "".join(f"    {line}\n" for line in exported.example.splitlines()))
    return 0
