"""`mtrl configs` and `mtrl configs copy NAME DIR`."""

from pathlib import Path

from mtrl.cli.one_line_parser import OneLineParser
from mtrl.runs.configs import one_of_ours, shipped, what_it_is
from mtrl.runs.errors import UserError

_DOES = "List the configurations that come with mtrl, or copy one to change it. `mtrl train mt10/quick` takes the name."


def run(words: list[str]) -> int:
    """List the configurations that come with mtrl, or copy one of them."""
    parser = OneLineParser("mtrl configs", _DOES)
    commands = parser.add_subparsers(dest="command", metavar="copy")
    copying = commands.add_parser("copy", description="Copy one; a file that is there stays as it is.")
    copying.add_argument("name", metavar="NAME", help="as listed")
    copying.add_argument("out", metavar="DIR", help="a folder, which a / at its end makes, or a new file's path")
    arguments = parser.parse_args(words)
    if arguments.command == "copy":
        print(_copy(arguments.name, arguments.out))
        return 0
    files = shipped()
    width = max(map(len, files))
    for name, path in files.items():
        print(f"{name:<{width}}  {what_it_is(path)}")
    return 0


def _copy(name: str, out: str) -> Path:
    """Copy a configuration, and return the path of the copy."""
    source, target = one_of_ours(name), Path(out)
    if out.endswith("/"):
        target.mkdir(parents=True, exist_ok=True)
    if target.is_dir():
        target /= source.name
    try:
        with target.open("xb") as file:
            file.write(source.read_bytes())
    except FileExistsError:
        raise UserError(f"{target} exists: give the path of a new file") from None
    return target
