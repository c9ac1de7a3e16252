"""Types of a configuration's fields, taken apart."""

import types
from collections.abc import Iterator
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel


def members(annotation: Any) -> Iterator[Any]:
    """The types that a value may have: members of a union, without their constraints."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from members(get_args(annotation)[0])
    elif origin in (Union, types.UnionType):
        for member in get_args(annotation):
            yield from members(member)
    else:
        yield annotation


def members_by_name(annotation: Any) -> dict[str, type[BaseModel]]:
    """Members of a union of models that their field `name` tells apart; empty for any other annotation."""
    kinds = [*members(annotation)]
    if len(kinds) < 2 or not all(isinstance(kind, type) and issubclass(kind, BaseModel) for kind in kinds):
        return {}
    return {kind.model_fields["name"].default: kind for kind in kinds}
