"""What `mtrl train --help` prints: every field of the configuration with its docstring and default."""

import inspect
import shutil
import textwrap
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from mtrl.cli.options import Choice, Option, sections

_CONFIG = """
CONFIG is a YAML file with the fields that differ from the defaults below (a saved run's config.yaml is
one), or the name of one that comes with mtrl (`mtrl configs` lists them); an option overrides a field.
A run is written to <out>/<name>/seed_<k> and never overwritten.

  --resume
      Continue runs that are there; those that are finished are not trained again.
  --print-config
      Print the whole configuration as YAML, a valid CONFIG, and start nothing."""


def train_help(command: str, does: str, kind: type[BaseModel]) -> str:
    """The help of a training command: its usage, and an entry for every field of its configuration.

    Args:
        command: e.g. `mtrl train`.
        does: what it does, a sentence.
        kind: of configuration.
    """
    width = min(110, shutil.get_terminal_size((100, 24)).columns)
    usage = f"usage: {command} CONFIG [--resume] [--print-config] [--FIELD VALUE ...]\n\n{does}"
    return "\n".join([usage, _CONFIG, *_lines(kind, width)])


def _lines(kind: type[BaseModel], width: int) -> Iterator[str]:
    for section in sections(kind):
        yield f"\n{section.key or 'run'}: {section.doc}"
        for option in section.options:
            yield from _option(option, width)
        for choice in section.choices:
            yield from _choice(choice, width)


def _choice(choice: Choice, width: int) -> Iterator[str]:
    yield from _wrap(f"{choice.name}: {choice.doc}", width, indent=4)
    for option in choice.options:
        yield from _option(option, width, indent=6)


def _option(option: Option, width: int, indent: int = 2) -> Iterator[str]:
    yield f"{' ' * indent}--{option.key} {option.metavar}"
    default = f"[{shown(option.default)}]" if option.default is not inspect.Parameter.empty else "[required]"
    yield from _wrap(f"{option.doc} {default}".strip(), width, indent + 4)


def _wrap(text: str, width: int, indent: int) -> list[str]:
    space = " " * indent
    return textwrap.wrap(text, width, initial_indent=space, subsequent_indent=space, break_on_hyphens=False)


def shown(value: Any) -> str:
    """A default as it would be typed."""
    if isinstance(value, tuple):
        return " ".join(map(shown, value))
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)
