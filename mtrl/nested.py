"""Trees: mappings, lists and tuples within each other."""

from collections.abc import Callable, Mapping
from typing import Any


def flat(tree: Mapping[str, Any], prefix: str = "", separator: str = ".") -> dict[str, Any]:
    """The values that are not mappings themselves, by their path."""
    values: dict[str, Any] = {}
    for name, value in tree.items():
        path = f"{prefix}{name}"
        values |= flat(value, path + separator, separator) if isinstance(value, Mapping) else {path: value}
    return values


def map_leaves(function: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """A function of the leaves of a tree, and of the same leaves of others; `None` is a leaf, too.

    Args:
        function: of one leaf of each tree.
        tree: of mappings, lists, tuples and named tuples; anything else is a leaf.
        others: trees of the same form.

    Returns:
        A tree of the same form, with dicts for mappings.
    """
    if isinstance(tree, Mapping):
        return {name: map_leaves(function, part, *(other[name] for other in others)) for name, part in tree.items()}
    if isinstance(tree, list | tuple):
        parts = (map_leaves(function, *same) for same in zip(tree, *others, strict=True))
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    return function(tree, *others)
