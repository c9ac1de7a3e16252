"""`mtrl completion bash|zsh|fish`: the script that completes commands, options and their values in a shell."""

import contextlib
import importlib
import io
import re
from typing import NamedTuple

from mtrl.agents.shipped import shipped as agents
from mtrl.aggregation import METHODS
from mtrl.cli.main import COMMANDS
from mtrl.cli.one_line_parser import OneLineParser
from mtrl.runs.configs import shipped

_DOES = (
    "Print the script that completes mtrl's commands and options in a shell; "
    'e.g. in ~/.bashrc: eval "$(mtrl completion bash)".'
)
_OPTION = re.compile(r"^ +(?:-\w, )?--(\S+)(?: (\S+))?", re.MULTILINE)
_NAMED = ("train", "supervised", "configs", "sweep")
_OF_AGENTS = ("evaluate", "record", "export")


class Known(NamedTuple):
    """What may follow a command."""

    options: dict[str, tuple[str, ...] | None]
    """By name, with dashes: the words that a value may be, none where there are too many, None for a flag."""
    names: tuple[str, ...]
    """Of configurations or agents that come with mtrl."""


def run(words: list[str]) -> int:
    """Print the script of a shell."""
    parser = OneLineParser("mtrl completion", _DOES)
    parser.add_argument("shell", choices=tuple(_SHELLS), help="whose script")
    shell = parser.parse_args(words).shell
    print(_SHELLS[shell]({command: _known(command) for command in COMMANDS}), end="")
    return 0


def _known(command: str) -> Known:
    """What is read from the help of a command, which is made from the tables that its words are read by."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        importlib.import_module(f"mtrl.cli.{command}").run(["--help"])
    options = {f"--{name}": _values(name, metavar) for name, metavar in _OPTION.findall(text.getvalue())}
    return Known(options, _names(command))


def _names(command: str) -> tuple[str, ...]:
    """The configurations, or agents, that come with mtrl and that a command takes."""
    if command in _OF_AGENTS:
        return tuple(agents())
    if command not in _NAMED:
        return ()
    if command == "configs":
        return ("copy", *shipped())
    return tuple(name for name in shipped() if name.startswith("sweeps/") == (command == "sweep"))


def _values(name: str, metavar: str) -> tuple[str, ...] | None:
    """The values of an option, as its help says them: `{a,b}`, or `a|b`; a word in capitals stands for any."""
    if name == "method.name":
        return tuple(METHODS)
    words = re.split(r"[|,]", metavar.strip("{}[].")) if metavar else []
    return tuple(word for word in words if word == word.lower()) if words else None


def _bash(known: dict[str, Known]) -> str:
    lines = [
        "_mtrl() {",
        '  local cur="${COMP_WORDS[COMP_CWORD]}" at="${COMP_WORDS[1]} ${COMP_WORDS[COMP_CWORD-1]}" words=""',
        '  [[ "$cur" == --* ]] || case "$at" in',  # else it is an option, not the value of the one before
        *(
            f'    "{command} {option}") words="{" ".join(values)}" ;;'
            for command, each in known.items()
            for option, values in each.options.items()
            if values
        ),
        "  esac",
        '  if [ -z "$words" ]; then',
        '    case "${COMP_WORDS[1]}" in',
        *(f'      "{command}") words="{" ".join([*each.options, *each.names])}" ;;' for command, each in known.items()),
        "    esac",
        "  fi",
        f'  if [ "$COMP_CWORD" -eq 1 ]; then words="{" ".join(known)}"; fi',
        '  COMPREPLY=($(compgen -W "$words" -- "$cur"))',
        "}",
        "complete -o default -F _mtrl mtrl",  # files, where nothing of ours fits
    ]
    return "\n".join(lines) + "\n"


def _zsh(known: dict[str, Known]) -> str:
    return f"autoload -Uz compinit bashcompinit\ncompinit\nbashcompinit\n{_bash(known)}"


def _fish(known: dict[str, Known]) -> str:
    lines = []
    for command, each in known.items():
        what = COMMANDS[command].replace("'", "\\'")
        lines.append(f"complete -c mtrl -n __fish_use_subcommand -f -a {command} -d '{what}'")
        seen = f"complete -c mtrl -n '__fish_seen_subcommand_from {command}'"
        lines += [f"{seen} -a '{' '.join(each.names)}'"] if each.names else []
        for option, values in each.options.items():
            value = "" if values is None else f" -x -a '{' '.join(values)}'" if values else " -r"
            lines.append(f"{seen} -l {option.removeprefix('--')}{value}")
    return "\n".join(lines) + "\n"


_SHELLS = {"bash": _bash, "zsh": _zsh, "fish": _fish}
