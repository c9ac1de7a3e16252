"""YAML as people mean it: YAML 1.2 numbers and booleans, no key twice, plain values alone, and not too many of them.

PyYAML alone reads `3e-4` as text, `yes` as true, takes the last of two equal keys and follows `&a [*a]` without end.
"""

import contextlib
import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

from mtrl.runs.errors import UserError
from mtrl.runs.files import read_regular

MOST_BYTES = 1 << 16
"""Of a file: the largest configuration there is has some 3,000."""
_MOST_VALUES, _DEEPEST = 10_000, 20
_SCALARS = {
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?[0-9][0-9_]*",  # with the underscores of Python, as in 400_000
    "float": r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf)|\.(nan|NaN)",
    "null": r"~|null|Null|NULL|",
}
_PLAIN = re.compile(r"[-\w .,:+/\[\]{}'\"#\n]*", re.ASCII)
"""What configurations of runs are made of; of other signs, C and Python do not always make the same."""


class _Values(SafeConstructor, Resolver):
    """YAML 1.2's core types; keys are unique."""

    yaml_implicit_resolvers: dict = {}  # noqa: RUF012  # PyYAML's own name; without its 1.1 entries

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        mapping = super().construct_mapping(node, deep=deep)
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key} is there twice", key_node.start_mark)
            seen.add(key)
        return mapping


class _Loader(_Values, yaml.SafeLoader):
    """Tells what is wrong with a text."""


if yaml.__with_libyaml__:

    class _QuickLoader(Composer, _Values, yaml.CSafeLoader):
        """Scans in C, and composes in Python, whose recursion has an end; for what `_PLAIN` matches."""

        def __init__(self, text: str) -> None:
            yaml.CSafeLoader.__init__(self, text)
            Composer.__init__(self)


class _Dumper(yaml.SafeDumper):
    """Quotes texts that either version of YAML would read as something else: `1e5`, `yes`."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _int(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    return int(loader.construct_scalar(node))  # "010" is ten, as in YAML 1.2, not eight


for _name, _pattern in _SCALARS.items():
    _Values.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(f"^(?:{_pattern})$"), None)
    _Dumper.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(f"^(?:{_pattern})$"), None)
_Values.add_constructor("tag:yaml.org,2002:int", _int)


def parse_yaml(text: str) -> Any:
    """The value of a text: None, truth values, numbers, texts, lists, and mappings.

    Raises:
        ValueError: it is not YAML, or holds something else, too much, or itself; what and where, in a line.
    """
    try:
        value = _load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ValueError(f"{where}{error.problem}") from error
    except RecursionError as error:
        raise ValueError(f"nested more than {_DEEPEST} deep") from error
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(str(error).splitlines()[0]) from error
    _check(value)
    return value


def _load(text: str) -> Any:
    if yaml.__with_libyaml__ and _PLAIN.fullmatch(text):
        with contextlib.suppress(yaml.YAMLError, ValueError, RecursionError):
            return yaml.load(text, _QuickLoader)
    return yaml.load(text, _Loader)


def dump_yaml(tree: Any) -> str:
    """The text of plain values, which `parse_yaml` reads as they are."""
    return yaml.dump(tree, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def _check(value: Any) -> None:
    """Counts what an alias stands for each time that it stands there."""
    level, count = [value], 0
    for _ in range(_DEEPEST):
        inner: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                for key, item in each.items():
                    if not isinstance(key, str | int | float | None):
                        raise ValueError(f"a key must be a name, got {key!r}")
                    inner.append(item)
            elif isinstance(each, list):
                inner += each
            elif not isinstance(each, str | int | float | None):
                raise ValueError(f"a value must be a number, a text, true, false or null, got {each!r}"[:100])
        count += len(inner)
        if count > _MOST_VALUES:
            raise ValueError(f"more than {_MOST_VALUES:,} values")
        if not inner:
            return
        level = inner
    raise ValueError(f"nested more than {_DEEPEST} deep, or it holds itself")


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; an empty file is an empty one.

    Raises:
        UserError: no such file, not a regular one, too large, not YAML, or not a mapping of names.
    """
    try:
        content = read_regular(path, MOST_BYTES)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{path} is no configuration: {error}") from error
    try:
        tree = parse_yaml(content.decode("utf-8"))
    except ValueError as error:
        raise UserError(f"{path}: invalid YAML: {error}") from error
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise UserError(f"{path} must be a mapping of keys, got {type(tree).__name__}")
    return tree


def parse_scalar(text: str) -> Any:
    """The value that `text` would have in a YAML file; the text itself where it is not YAML."""
    try:
        return parse_yaml(text)
    except ValueError:
        return text
