"""YAML files, and values of the command line that are as in one."""

from pathlib import Path
from typing import Any

from mtrl.runs.errors import UserError
from mtrl.runs.regular_files import read_regular
from mtrl.runs.yaml_text import MOST_BYTES, parse_yaml


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
