"""The arguments of a training command: a YAML file, or the name of one of ours, and options that override fields."""

import difflib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from mtrl.cli.options import Option, OptionGroup, sections
from mtrl.runs.configs import find, shipped
from mtrl.runs.errors import UserError, shortened
from mtrl.runs.invalid import first_wrong
from mtrl.runs.section import RunConfig
from mtrl.runs.yaml_file import read_yaml

Tree = dict[str, Any]
Files = list[tuple[str, str]]
"""Words that are no option's, each with the option that it follows, if it does."""
C = TypeVar("C", bound=RunConfig)
_FLAGS = ("--resume", "--print-config")


@dataclass(frozen=True)
class Arguments(Generic[C]):
    """The words of a training command, read."""

    config: C
    resume: bool
    """Go on with runs that are there."""
    print_config: bool
    """Print the configuration, and start nothing."""


def parse_arguments(words: list[str], kind: type[C], example: str) -> Arguments[C]:
    """Turn the words after `mtrl train`, say, into a configuration.

    Args:
        words: of the command line.
        kind: of configuration.
        example: a file, shown when none is given.

    Raises:
        UserError: an unknown key, a value of the wrong type or out of range, a file missing or no YAML.
    """
    known = {option.key: option for section in sections(kind) for option in reversed(section.with_choices())}
    known = _options_of_own(words, kind) | known
    files, given, flags = _split(words, known)
    if len(files) != 1:
        raise UserError(_not_one_file(files, given, known, example))
    return Arguments(load_config(find(files[0][0]), kind, given), "--resume" in flags, "--print-config" in flags)


def load_config(path: Path, kind: type[C], given: dict[str, list[str]] | None = None) -> C:
    """The configuration in a YAML file, whose own name is the run's where the file gives none.

    Args:
        path: the file.
        kind: of configuration.
        given: command-line words by key; they override the file's fields.

    Raises:
        UserError: as for `parse_arguments`.
    """
    given = given or {}
    tree = json.loads(json.dumps(read_yaml(path), default=str))  # a section under two names (`&a`, `*a`) becomes two
    if "base" in tree:
        raise UserError(f"{path} has a base, as the file of a sweep: `mtrl sweep {path}` carries it out")
    tree.setdefault("name", re.sub(r"^\W+|[^\w.-]", "_", path.stem))
    options: dict[str, Option] = {}
    chosen: dict[str, str] = {}
    for section in sections(kind):
        if section.choices:
            chosen[section.key] = _chosen(tree, section, given)
        options |= {option.key: option for option in section.with_choice(chosen.get(section.key, ""))}
    for key, texts in given.items():
        option = options.get(key) or Option(key, Any, None, "")
        _assign(tree, key, option.parse(texts), path)
    for option in options.values():
        _make_exact(tree, option)
    for key, name in chosen.items():
        if isinstance(part := tree.get(key), dict):
            part.setdefault("name", name)
    try:
        # Through JSON, because its arrays may be tuples even where types are strict.
        return kind.model_validate_json(json.dumps(tree, default=str))
    except ValidationError as error:
        raise UserError(_one_line(error, kind, given, path)) from error


def _split(words: list[str], known: dict[str, Option]) -> tuple[Files, dict[str, list[str]], set[str]]:
    """Files, the words of each option by its key, and those of `_FLAGS` that are there."""
    files: Files = []
    last = ""
    given: dict[str, list[str]] = {}
    flags: set[str] = set()
    rest = list(words)
    while rest:
        word, before, last = rest.pop(0), last, ""
        if not word.startswith("--"):
            files.append((word, before))
        elif word in _FLAGS:
            flags.add(word)
        else:
            key, equals, text = word[2:].partition("=")
            if key not in known:
                raise UserError(f"--{key[:60]}: unknown option{_suggestion(key, list(known), '--')}")
            given[key], last = [text] if equals else _values(known[key], rest), key
    return files, given, flags


def _not_one_file(files: Files, given: dict[str, list[str]], known: dict[str, Option], example: str) -> str:
    """What is wrong with words among which there is no file, or more than one."""
    if not files:
        return f"one configuration file is needed, e.g. {example}"
    for word, key in files:
        if Path(word).exists() or word in shipped():
            continue
        if word.startswith("-"):
            return f"{word[:60]}: an option begins with two dashes{_suggestion(word.lstrip('-'), list(known), '--')}"
        if key:
            option, values = known[key], given[key]
            if not values:
                return f"--{key} must be {' or '.join(option.words)}, got {shortened(word)}"
            if option.takes_many:
                return f"--{key}={values[0]} is all of its values: several are given as --{key} {values[0]} {word}"
            return f"--{key} takes one value, got {shortened(word)} after {values[0]}"
    return f"one configuration file is needed, got {' '.join(word for word, _ in files)}"


def _options_of_own(words: list[str], kind: type[BaseModel]) -> dict[str, Option]:
    """The options of a method that is not ours, if the words, or a file among them, name one."""
    options: dict[str, Option] = {}
    for section in sections(kind):
        if section.takes_own and any(word.startswith(f"--{section.key}.") for word in words):
            options |= {o.key: o for name in _named(words, section.key) for o in section.with_choice(name)}
    return options


def _named(words: list[str], key: str) -> list[str]:
    """What a section's `name` may be: an option's word, before it is known how many each takes, or a file's."""
    option = f"--{key}.name"
    named = [word.partition("=")[2] for word in words if word.startswith(f"{option}=")]
    named += [after for word, after in pairwise(words) if word == option]
    for word in () if named else words:
        if word in shipped() or (word.endswith((".yaml", ".yml")) and Path(word).is_file()):
            section = read_yaml(find(word)).get(key)
            named += [str(section.get("name", ""))] if isinstance(section, dict) else []
    return named


def _values(option: Option, rest: list[str]) -> list[str]:
    """Take the words that belong to an option off `rest`."""
    if option.is_flag:
        return [rest.pop(0)] if rest and rest[0] in option.words else []
    values: list[str] = []
    while rest and not rest[0].startswith("--") and (option.takes_many or not values):
        values.append(rest.pop(0))
    if not values:
        raise UserError(f"--{option.key} needs a value ({option.metavar})")
    return values


def _chosen(tree: Tree, section: OptionGroup, given: dict[str, list[str]]) -> str:
    """What a section's `name` chooses. What the file says of it goes if the command line chooses another."""
    in_file = tree.get(section.key)
    name = str(in_file.get("name", section.default_choice)) if isinstance(in_file, dict) else section.default_choice
    chosen = given.get(f"{section.key}.name", [name])[0]
    if chosen != name:
        tree[section.key] = {}
    return chosen


def _assign(tree: Tree, key: str, value: Any, path: Path) -> None:
    *outer, last = key.split(".")
    for depth, name in enumerate(outer):
        tree = tree.setdefault(name, {})
        if not isinstance(tree, dict):
            raise UserError(f"{path}: {'.'.join(outer[: depth + 1])} must be a section of keys, got {shortened(tree)}")
    tree[last] = value


def _make_exact(tree: Tree, option: Option) -> None:
    *outer, last = option.key.split(".")
    for name in outer:
        inner = tree.get(name)
        if not isinstance(inner, dict):
            return
        tree = inner
    if last in tree:
        tree[last] = option.exact(tree[last])


def _one_line(error: ValidationError, kind: type[BaseModel], given: dict[str, list[str]], path: Path) -> str:
    """The first thing that is wrong: key, rule, value."""
    wrong = first_wrong(error, kind)
    hint = _suggestion(wrong.key, wrong.siblings) if wrong.is_unknown else ""
    return f"{_where(wrong.key, given, path)}{wrong.rule}{hint}"


def _where(key: str, given: dict[str, list[str]], path: Path) -> str:
    """Where the user wrote it: an option, the method that options make up, or the file."""
    if key.split("[")[0] in given:
        return f"--{key}"
    if any(other.startswith(f"{key}.") for other in given):
        return key
    return f"{path}: {key}" if key else str(path)


def _suggestion(key: str, known: Sequence[str], prefix: str = "") -> str:
    """`; did you mean ...?`, if something is close: a section's name, a plural, the same last part, or nearly so."""
    last = key.rsplit(".", 1)[-1]
    same = [other for other in (f"{key}.name", f"{key}s") if other in known]
    close = same or [other for other in known if other.rsplit(".", 1)[-1] == last][:3]
    close = close or difflib.get_close_matches(key, known, n=1)
    return f"; did you mean {' or '.join(prefix + other for other in close)}?" if close else ""
