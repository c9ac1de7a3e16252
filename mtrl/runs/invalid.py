"""What is wrong with a configuration, in a line: field, rule, value."""

from typing import NamedTuple

from pydantic import BaseModel, ValidationError

from mtrl.runs.annotations import members_by_name
from mtrl.runs.errors import shortened

_FORMER = {
    "agent.task_embedding": "agent.conditioning.embedding_size since 0.2.0; for 0, agent.conditioning.encoding is none"
}
"""Keys of older versions, and what they are called now."""


class Wrong(NamedTuple):
    """The first thing that is wrong."""

    key: str
    """Dotted; empty where it is of the whole."""
    rule: str
    """What follows the key: ` must be ..., got ...`, or a colon and a sentence."""
    siblings: tuple[str, ...]
    """Keys that there are beside it."""
    is_unknown: bool
    """There is no such key."""

    def __str__(self) -> str:
        return f"{self.key}{self.rule}" if self.key else self.rule.removeprefix(":").lstrip()


def first_wrong(error: ValidationError, kind: type[BaseModel]) -> Wrong:
    """What is wrong first with a configuration of this kind."""
    errors = error.errors()
    first = max((e for e in errors if e["loc"][:2] == errors[0]["loc"][:2]), key=lambda e: len(e["loc"]))
    key, siblings = _key(first["loc"], kind)
    name, text, value = first["type"], first["msg"], first["input"]
    if name == "union_tag_invalid":
        names = first["ctx"]["expected_tags"].replace(", ", " or ")
        return Wrong(f"{key}.name", f" must be {names}, got {shortened(first['ctx']['tag'])}", siblings, False)
    if name == "extra_forbidden" and key in _FORMER:
        return Wrong(key, f" is {_FORMER[key]}", siblings, False)
    if name == "extra_forbidden":
        return Wrong(key, ": unknown key", siblings, True)
    if name == "value_error":
        return Wrong(key, f": {text.removeprefix('Value error, ').splitlines()[0]}", siblings, False)
    if name == "missing":
        return Wrong(key, " is missing", siblings, False)
    text = text.replace("Input should be an object", "Input should be a section of keys")
    text = text.replace("Input should", "must").replace("Tuple should", "must")
    return Wrong(key, f" {text}, got {shortened(value)}", siblings, False)


def _key(location: tuple[int | str, ...], kind: type[BaseModel]) -> tuple[str, tuple[str, ...]]:
    """The dotted key of an error, and the keys there are beside it."""
    key, siblings = "", tuple[str, ...]()
    model: type[BaseModel] | None = kind
    among: dict[str, type[BaseModel]] = {}
    for part in location:
        if isinstance(part, int):
            key += f"[{part}]"
        elif part in among:
            model, among = among[part], {}
        elif model is not None:  # else the part is a member of a union, not a key
            siblings = tuple(f"{key}.{name}".removeprefix(".") for name in model.model_fields)
            name = part if part.isprintable() and len(part) <= 60 else shortened(part)
            key = f"{key}.{name}".removeprefix(".")
            field = model.model_fields.get(part)
            inner = field.annotation if field else None
            among = members_by_name(inner)
            model = inner if isinstance(inner, type) and issubclass(inner, BaseModel) else None
    return key, siblings
