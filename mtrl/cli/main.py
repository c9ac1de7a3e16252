"""The command `mtrl`: one module per subcommand, imported when it is asked for."""

import difflib
import importlib
import sys
import threading
from typing import Any

from mtrl import __version__
from mtrl.cli.failures import reason, trace_of
from mtrl.cli.streams import is_read, silence, tell

COMMANDS = {
    "train": "train an agent, evaluate it and report the run",
    "supervised": "train on a supervised benchmark, evaluate it and report the run",
    "sweep": "train methods, variants and seeds, on this machine or on a Ray cluster",
    "evaluate": "evaluate the newest checkpoint of a run",
    "status": "where runs stand: step, rate, time left, success so far",
    "watch": "refresh the report of runs while they train",
    "report": "table and learning curves of runs",
    "compare": "how two runs differ, in configuration and in result",
    "record": "film the newest checkpoint of a run: an MP4 per task",
    "convert": "checkpoints of supervised runs of older versions",
    "configs": "the configurations that come with mtrl, and copies of them",
    "agents": "the trained agents that come with mtrl",
    "export": "write the policy of the newest checkpoint for use elsewhere: ONNX, torch.export",
    "push": "put a run's policy, its results and a model card into the Hugging Face Hub",
    "completion": "the script that completes commands and options in bash, zsh or fish",
}
"""Each with what it does."""
_HELP = "\n".join(
    [
        "usage: mtrl COMMAND ...\n\nMulti-task learning with gradient aggregation.\n",
        *(f"  {name:<12}{what}" for name, what in COMMANDS.items()),
        "\n`mtrl COMMAND --help` tells more, `mtrl --version` which this is.",
    ]
)
_OF_A_FILE = ("train", "supervised")
_LOGS = (*_OF_A_FILE, "sweep")
_ASKING = {"-h", "--help"}
_LOADING_S, _QUIET_S = 1.0, 25.0
_FAILED, _INTERRUPTED = 2, 130


def main(argv: list[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: the words after `mtrl`; those of the process by default.

    Returns:
        The exit status: 0 done, 2 for a failure that the user can mend (one line on stderr), 130 interrupted.
    """
    words = sys.argv[1:] if argv is None else argv
    if not words or words[0] in _ASKING:
        tell(_HELP, sys.stdout)
        return 0 if words else _FAILED
    name, *rest = words
    if name == "--version":
        tell(f"mtrl {__version__}", sys.stdout)
        return 0
    if name not in COMMANDS:
        close = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(COMMANDS)}"
        return _fail(f"unknown command {name[:60]!r}; {hint}")
    for word in rest:
        if "\0" in word or not _is_text(word):
            return _fail(f"an argument must be text without NUL bytes, got {word[:40]!a}", name)
    try:
        if name in _OF_A_FILE:
            _check_file(rest)
        command = _loaded(name, rest)
        status = command.run(rest)
        if sys.stdout:  # `>&-` leaves none
            sys.stdout.flush()
        return int(status)
    except KeyboardInterrupt:
        tell(f"mtrl {name}: interrupted", sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:
        if is_read(sys.stdout):  # it was another pipe
            raise
        silence(sys.stdout)  # the reader has what it wants
        return 0
    except Exception as error:
        line = reason(error, name)
        if line is None:
            raise
        if trace := trace_of(error, line):
            tell(trace, sys.stderr)
        return _fail(line, name)


def _check_file(words: list[str]) -> None:
    """Say what is wrong with a configuration file before PyTorch is loaded, which takes seconds."""
    if words and not words[0].startswith("-") and not _ASKING & set(words):
        from mtrl.runs.configs import find
        from mtrl.runs.yaml_file import read_yaml

        read_yaml(find(words[0]))


def _loaded(name: str, words: list[str]) -> Any:
    """The module of a command; a log of training says so where that takes long."""
    loaded = threading.Event()

    def say() -> None:
        wait_s = _LOADING_S
        while not loaded.wait(wait_s):
            tell(f"mtrl {name}: loading PyTorch", sys.stdout)
            wait_s = _QUIET_S

    if name in _LOGS and not {*_ASKING, "--print-config"} & set(words):
        threading.Thread(target=say, daemon=True).start()
    try:
        return importlib.import_module(f"mtrl.cli.{name}")
    finally:
        loaded.set()


def _is_text(word: str) -> bool:
    """Whether it is Unicode: what is not comes as lone surrogates."""
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


def _fail(line: str, command: str = "") -> int:
    tell(f"mtrl {command}".rstrip() + f": error: {line}", sys.stderr)
    return _FAILED
