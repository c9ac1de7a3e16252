"""The hyper-parameters of a method are its constructor's arguments."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def parameters(kind: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
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
    if annotation in (int, float):  # NumPy's numbers, too
        return isinstance(value, Integral if annotation is int else Real) and not isinstance(value, bool)
    return isinstance(value, origin or annotation)


def numbers_checked(constructor: Callable[..., None]) -> Callable[..., None]:
    """A constructor that refuses what is no number, or several for one, where its annotations ask for numbers."""

    @wraps(constructor)
    def checked(self: object, *arguments: Any, **named: Any) -> None:
        expected = parameters(constructor)
        for name, value in [*zip([*expected][1:], arguments, strict=False), *named.items()]:
            annotation = expected[name].annotation if name in expected else Any
            if _is_of_numbers(annotation) and not fits(value, annotation) and _misfits(value, annotation):
                what = "a number" if annotation in (int, float) else "numbers"
                raise TypeError(f"{type(self).__name__} needs {what} for {name}, got {name}={value!r}")
        constructor(self, *arguments, **named)

    return checked


def _is_of_numbers(annotation: Any) -> bool:
    if get_origin(annotation) in (UnionType, Union, Sequence, list):
        return all(map(_is_of_numbers, get_args(annotation)))
    return annotation in (int, float, NoneType)


def _misfits(value: object, annotation: Any) -> bool:
    """Whether it is, or there is in it, what is no number; or one where several are due, or the other way round.

    Tensors and arrays are numbers.
    """
    options = (annotation, *get_args(annotation))
    if isinstance(value, list | tuple):
        many = any(get_origin(option) in (Sequence, list) for option in options)
        return not many or any(_misfits(item, float) for item in value)
    if isinstance(value, int | float):
        return not any(option in options for option in (int, float)) or get_origin(annotation) in (Sequence, list)
    return isinstance(value, str | bytes | Mapping | set | complex | NoneType)
