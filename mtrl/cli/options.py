"""Every field of a configuration as an option: `agent.critic.width` is `--agent.critic.width`."""

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel

from mtrl import aggregation
from mtrl.aggregation import METHODS
from mtrl.runs.annotations import members, members_by_name
from mtrl.runs.section import MethodConfig
from mtrl.runs.yaml_file import parse_scalar

_LISTS = (tuple, Sequence)


@dataclass(frozen=True)
class Option:
    """A field of a configuration, as an option of the command line."""

    key: str
    annotation: Any
    default: Any
    doc: str

    @property
    def types(self) -> tuple[Any, ...]:
        """The types that a value may have: members of a union, without their constraints."""
        return tuple(members(self.annotation))

    @property
    def is_flag(self) -> bool:
        """Whether the option may stand without a value, which means true."""
        return bool in self.types

    @property
    def words(self) -> tuple[str, ...]:
        """The words that a value may be, where it may be one of a few."""
        return tuple(word for kind in self.types for word in _words(kind))

    @property
    def takes_many(self) -> bool:
        """Whether the option may be given several values."""
        return any(get_origin(kind) in _LISTS for kind in self.types)

    @property
    def metavar(self) -> str:
        """How `--help` shows the value."""
        return "|".join(_metavar(kind) for kind in self.types)

    def parse(self, texts: list[str]) -> Any:
        """The value of command-line words, as YAML would have it; the configuration checks it later."""
        if not texts:
            return True  # a flag
        if self.takes_many and len(texts) == 1 and isinstance(listed := parse_scalar(texts[0]), list):
            return listed
        if not self.takes_many or (len(texts) == 1 and str in self.types):
            return self._scalar(texts[0], self.types)
        return [self._scalar(text, self._scalars) for text in texts]

    def exact(self, value: Any) -> Any:
        """`value`, with 4e5 for 400000 where the field holds integers."""
        if isinstance(value, list):
            return [self.exact(item) for item in value]
        whole = isinstance(value, float) and value.is_integer()
        return int(value) if whole and int in self._scalars and float not in self._scalars else value

    @property
    def _scalars(self) -> tuple[Any, ...]:
        """The types that a single value may have: `types`, with a list's items in its place."""
        return tuple(member for kind in self.types for member in _items(kind))

    @staticmethod
    def _scalar(text: str, kinds: tuple[Any, ...]) -> Any:
        if type(None) in kinds and text == "null":
            return None
        if bool in kinds and text in _words(bool):
            return text == "true"
        textual = any(kind is str or any(isinstance(word, str) for word in get_args(kind)) for kind in kinds)
        return text if textual else parse_scalar(text)  # a name such as 007 stays as it is


@dataclass(frozen=True)
class Choice:
    """One of the things that a section's `name` chooses among, with options of its own."""

    name: str
    doc: str
    options: tuple[Option, ...]


@dataclass(frozen=True)
class OptionGroup:
    """The options of one part of the configuration."""

    key: str
    doc: str
    options: tuple[Option, ...]
    choices: tuple[Choice, ...] = ()
    default_choice: str = ""
    takes_own: bool = False
    """Whether what is chosen may be a method that is not among the choices, see `aggregation.find`."""

    def with_choice(self, name: str) -> tuple[Option, ...]:
        """The section's options and those of one choice; none of its own if there is no such choice."""
        if self.takes_own and name not in {choice.name for choice in self.choices}:
            return self.options + self._of_own(name)
        return self.options + tuple(o for choice in self.choices if choice.name == name for o in choice.options)

    def with_choices(self) -> tuple[Option, ...]:
        """The section's options and those of all choices."""
        return self.options + tuple(option for choice in self.choices for option in choice.options)

    def _of_own(self, name: str) -> tuple[Option, ...]:
        try:
            return tuple(_hyperparameters(self.key, name))
        except ValueError:
            return ()  # told where the configuration is checked


def sections(kind: type[BaseModel]) -> list[OptionGroup]:
    """All parts of a configuration of this kind, outermost first."""
    return list(_sections(kind(), "", inspect.cleandoc(kind.__doc__ or "")))


def _sections(tree: BaseModel, prefix: str, doc: str) -> Iterator[OptionGroup]:
    own: list[Option] = []
    inner: list[OptionGroup] = []
    for name, field in type(tree).model_fields.items():
        key, value = f"{prefix}{name}", getattr(tree, name)
        help_text = field.description or ""
        if among := members_by_name(field.annotation):
            inner.append(_union(key, value.name, among, help_text))
        elif isinstance(value, MethodConfig):
            own_options = _sections(value, f"{key}.", help_text)
            inner += [replace(s, choices=_methods(key), default_choice=value.name, takes_own=True) for s in own_options]
        elif isinstance(value, BaseModel):
            inner += _sections(value, f"{key}.", help_text)
        else:
            own.append(Option(key, field.annotation, value, help_text))
    yield OptionGroup(prefix.removesuffix("."), doc, tuple(own))
    yield from inner


def _union(key: str, default: str, among: dict[str, type[BaseModel]], doc: str) -> OptionGroup:
    """A section that is one of several models; each one's options, those of its own sections too, are its choice's."""
    choices = []
    for name, kind in among.items():
        options = [o for part in _sections(kind(), f"{key}.", "") for o in part.options if o.key != f"{key}.name"]
        choices.append(Choice(name, _summary(kind), tuple(options)))
    name_option = Option(f"{key}.name", Literal[tuple(among)], default, "Which one.")
    return OptionGroup(key, doc, (name_option,), tuple(choices), default)


def _methods(key: str) -> tuple[Choice, ...]:
    """The aggregation methods, with their hyper-parameters."""
    return tuple(Choice(name, _summary(method), tuple(_hyperparameters(key, name))) for name, method in METHODS.items())


def _hyperparameters(key: str, name: str) -> Iterator[Option]:
    for parameter in aggregation.hyperparameters(name).values():
        annotation = Any if parameter.annotation is parameter.empty else parameter.annotation
        default = "the run's" if parameter.name == "seed" else parameter.default
        yield Option(f"{key}.{parameter.name}", annotation, default, "")


def _summary(kind: type) -> str:
    return (inspect.getdoc(kind) or "").split("\n\n")[0]


def _words(kind: Any) -> tuple[str, ...]:
    if kind is bool:
        return ("true", "false")
    return tuple(map(str, get_args(kind))) if get_origin(kind) is Literal else ()


def _items(kind: Any) -> Iterator[Any]:
    if get_origin(kind) in _LISTS:
        yield from members(get_args(kind)[0])
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
