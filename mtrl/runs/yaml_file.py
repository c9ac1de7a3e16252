"""YAML as people mean it: YAML 1.2 numbers and booleans, and no key twice.

PyYAML alone reads `3e-4` as text, `yes` as true and takes the last of two equal keys.
"""

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from mtrl.runs.errors import UserError

_SCALARS = {
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?[0-9][0-9_]*",  # with the underscores of Python, as in 400_000
    "float": r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf)|\.(nan|NaN)",
    "null": r"~|null|Null|NULL|",
}


class _Loader(yaml.SafeLoader):
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


def _int(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    return int(loader.construct_scalar(node))  # "010" is ten, as in YAML 1.2, not eight


for _name, _pattern in _SCALARS.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(f"^(?:{_pattern})$"), None)
_Loader.add_constructor("tag:yaml.org,2002:int", _int)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; an empty file is an empty one.

    Raises:
        UserError: no such file, not YAML, or not a mapping of names.
    """
    try:
        tree = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise UserError(f"{path}: invalid YAML: {where}{error.problem}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: invalid YAML: {str(error).splitlines()[0]}") from error
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise UserError(f"{path} must be a mapping of keys, got {type(tree).__name__}")
    return tree


def parse_scalar(text: str) -> Any:
    """The value that `text` would have in a YAML file; the text itself where it is not YAML."""
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError:
        return text
