"""Names of registered environments with their keyword arguments, as one text: `Hopper-v5(forward_reward_weight=2.0)`.

The text is what tasks are called everywhere, and it alone says what is made.
"""

import ast
import keyword
from collections.abc import Mapping
from typing import Any

_KEYS = ("id", "kwargs")


def with_arguments(task: Mapping[str, Any]) -> str:
    """The name of `{"id": "Hopper-v5", "kwargs": {...}}`.

    Raises:
        ValueError: there is another key or no id, or an argument that the text could not say.
    """
    identifier, kwargs = task.get("id"), task.get("kwargs", {})
    if not isinstance(identifier, str) or not isinstance(kwargs, Mapping) or set(task) - set(_KEYS):
        raise ValueError(f"tasks: a task with arguments must be {{id: Name-v0, kwargs: {{...}}}}, got {dict(task)!r}")
    for key, value in kwargs.items():
        if not isinstance(key, str) or not key.isidentifier() or keyword.iskeyword(key):
            raise ValueError(f"tasks: kwargs of {identifier!r} must have names of arguments for keys, got {key!r}")
        if not _is_literal(value):
            rule = f"{key} of {identifier!r} must be made of numbers, texts, lists and mappings"
            raise ValueError(f"tasks: {rule}, got {value!r}")
    shown = ", ".join(f"{key}={value!r}" for key, value in kwargs.items())
    return f"{identifier}({shown})" if kwargs else identifier


def parsed(name: str) -> tuple[str, dict[str, Any]]:
    """The id and the keyword arguments of a name.

    Raises:
        ValueError: what stands in its parentheses is not `key=value, ...`.
    """
    identifier, opening, rest = name.partition("(")
    if not opening:
        return name, {}
    try:
        call = ast.parse(f"f({rest}", mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.args:
            raise ValueError("no call by keywords")
        return identifier, {str(k.arg): ast.literal_eval(k.value) for k in call.keywords}
    except (SyntaxError, ValueError) as error:
        raise ValueError(f"tasks: a name with arguments must be Name-v0(key=value, ...), got {name!r}") from error


def _is_literal(value: object) -> bool:
    try:
        return bool(ast.literal_eval(repr(value)) == value)
    except (SyntaxError, ValueError):
        return False
