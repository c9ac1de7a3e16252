"""The hyper-parameters of a method are its constructor's arguments."""

import inspect
from collections.abc import Mapping, Sequence
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def parameters(kind: type) -> Mapping[str, inspect.Parameter]:
    """The arguments that a constructor takes by name: annotation and default."""
    try:
        signature = inspect.signature(kind, eval_str=True)
    except NameError:  # an annotation of what is imported for the type checker alone
        signature = inspect.signature(kind)
    return {name: parameter for name, parameter in signature.parameters.items() if parameter.kind in _NAMED}


def fits(value: object, annotation: Any) -> bool:
    """Whether a configured value has the annotated type; a constructor checks its choices (`Literal`), and a type that
    no configuration can write.
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal or annotation is Any or annotation is inspect.Parameter.empty or isinstance(annotation, str):
        return True
    if origin in (UnionType, Union):
        return any(fits(value, option) for option in arguments)
    if origin in (Sequence, list):
        return isinstance(value, list | tuple) and all(fits(item, arguments[0]) for item in value)
    if annotation is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if annotation is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, origin or annotation)
