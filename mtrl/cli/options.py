"""Every field of the configuration as an option: `agent.critic.width` is `--agent.critic.width`."""

import inspect
import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from agents.config import Config
from mtrl import aggregation
from mtrl.cli.yaml_file import parse_scalar

_LISTS = (tuple, Sequence)


@dataclass(frozen=True)
class Option:
    """One field."""

    key: str
    annotation: Any
    default: Any
    doc: str

    @property
    def types(self) -> tuple[Any, ...]:
        """The types that a value may have: members of a union, without their constraints."""
        return tuple(_members(self.annotation))

    @property
    def is_flag(self) -> bool:
        """May stand without a value, which means true."""
        return self.types == (bool,)

    @property
    def takes_many(self) -> bool:
        """May be given several values."""
        return any(get_origin(kind) in _LISTS for kind in self.types)

    @property
    def metavar(self) -> str:
        """How `--help` shows the value."""
        return "|".join(_metavar(kind) for kind in self.types)

    def parse(self, texts: list[str]) -> Any:
        """The value of command-line words, as YAML would have it; the configuration checks it later."""
        if not texts:
            return True  # a flag
        if not self.takes_many or (len(texts) == 1 and str in self.types):
            return self._scalar(texts[0], self.types)
        if len(texts) == 1 and isinstance(listed := parse_scalar(texts[0]), list):
            return listed
        return [self._scalar(text, self._scalars) for text in texts]

    def exact(self, value: Any) -> Any:
        """`value`, with 4e5 for 400000 where the field holds integers."""
        if isinstance(value, list):
            return [self.exact(item) for item in value]
        whole = isinstance(value, float) and value.is_integer()
        return int(value) if whole and int in self._scalars and float not in self._scalars else value

    @property
    def _scalars(self) -> tuple[Any, ...]:
        """As `types`, with the items of a list for the list."""
        return tuple(member for kind in self.types for member in _items(kind))

    @staticmethod
    def _scalar(text: str, kinds: tuple[Any, ...]) -> Any:
        if type(None) in kinds and text == "null":
            return None
        textual = any(kind is str or get_origin(kind) is Literal for kind in kinds)
        return text if textual else parse_scalar(text)  # a name such as 007 stays as it is


@dataclass(frozen=True)
class Section:
    """The options of one part of the configuration."""

    name: str
    doc: str
    options: tuple[Option, ...]


def sections() -> list[Section]:
    """All parts of the configuration, outermost first."""
    return list(_sections(Config(), "", inspect.cleandoc(Config.__doc__ or "")))


def method_options(name: str) -> list[Option]:
    """The hyper-parameters of an aggregation method.

    Raises:
        ValueError: there is no such method.
    """
    return [
        Option(
            key=f"method.{parameter.name}",
            annotation=Any if parameter.annotation is parameter.empty else parameter.annotation,
            default=parameter.default,
            doc="",
        )
        for parameter in aggregation.hyperparameters(name).values()
    ]


def _sections(tree: BaseModel, prefix: str, doc: str) -> Iterator[Section]:
    own, inner = [], []
    for name, field in type(tree).model_fields.items():
        key, value = f"{prefix}{name}", getattr(tree, name)
        if isinstance(value, BaseModel):
            inner.append((value, f"{key}.", field.description or ""))
        else:
            own.append(Option(key, field.annotation, value, field.description or ""))
    yield Section(prefix.removesuffix("."), doc, tuple(own))
    for value, inner_prefix, inner_doc in inner:
        yield from _sections(value, inner_prefix, inner_doc)


def _members(annotation: Any) -> Iterator[Any]:
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _members(get_args(annotation)[0])
    elif origin in (Union, types.UnionType):
        for member in get_args(annotation):
            yield from _members(member)
    else:
        yield annotation


def _items(kind: Any) -> Iterator[Any]:
    if get_origin(kind) in _LISTS:
        yield from _members(get_args(kind)[0])
    else:
        yield kind


def _metavar(kind: Any) -> str:
    origin = get_origin(kind)
    if origin is Literal:
        return "|".join(map(str, get_args(kind)))
    if origin in _LISTS:
        return f"{'|'.join(map(_metavar, _items(kind)))}..."
    names = {int: "INT", float: "FLOAT", str: "TEXT", bool: "true|false", type(None): "null"}
    return names.get(kind, "VALUE")
