"""The file of a sweep: which runs there are, and what each may take. The docstring under a field is its help text."""

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from mtrl.runs.errors import UserError, shortened
from mtrl.runs.section import Count, PathText, RunConfig, RunName, Section, Seed
from mtrl.runs.yaml_file import read_yaml

_UNITS = {"": 1} | {
    f"{letter}{kind}": base**power
    for kind, base in (("iB", 1024), ("B", 1000))
    for power, letter in enumerate("KMGT", 1)
}
_SIZE = re.compile(rf"(\d+(?:\.\d+)?) ?({'|'.join(_UNITS)})")


class Resources(Section):
    """What a trial takes of a machine."""

    cpus: Annotated[int, Field(ge=1, le=512)] = 1
    """Cores; the learner has as many threads, where the configuration does not say how many."""
    gpus: Annotated[float, Field(ge=0, le=64)] = 0.0
    """A part of a GPU, or whole ones; with 0 the trial runs on the CPU."""
    ranks: Annotated[int, Field(ge=1, le=64)] = 1
    """Processes that train a trial together, each with some of its tasks; they share the trial's cores and GPUs."""
    memory: str | None = None
    """As in `6GiB`; null for what a run of this size is known to take, if anything is known of it."""
    seeds_together: Count = 1
    """Seeds that train side by side in one process, as one more axis, which pays on a GPU; they are one trial."""

    @property
    def memory_bytes(self) -> int | None:
        """The memory; None where the file does not say."""
        if self.memory is None:
            return None
        number, unit = _parsed(self.memory)
        return int(number * _UNITS[unit])

    @field_validator("memory")
    @classmethod
    def _is_a_size(cls, text: str | None) -> str | None:
        if text is not None:
            _parsed(text)
        return text

    @model_validator(mode="after")
    def _gpus_are_parts_of_one_or_whole(self) -> Self:
        if self.gpus > 1 and not self.gpus.is_integer():
            raise ValueError(f"resources.gpus must be a part of one GPU or a whole number, got {self.gpus}")
        return self


def _parsed(text: str) -> tuple[float, str]:
    if not (match := _SIZE.fullmatch(text)):
        raise ValueError(f"resources.memory must be a size such as 6GiB, got {text[:40]!r}")
    return float(match[1]), match[2]


class SweepFile(Section):
    """A sweep: every method with every variant and every seed."""

    name: RunName
    """Name of the sweep: its runs are `<out>/<name>/<method>/seed_<k>`."""
    base: PathText
    """The configuration that all runs begin with: one that comes with mtrl, such as `mt10/quick`, or a file."""
    changes: dict[str, Any] = Field(default={})
    """The fields that all runs have otherwise than `base`: `{steps: 800_000}`."""
    methods: Annotated[tuple[str | dict[str, Any], ...], Field(max_length=1_000)] = ()
    """Aggregation methods: a name, or `{name: cagrad, c: 0.4}`; without any, the method of `base`."""
    variants: dict[RunName, dict[str, Any]] = Field(default={}, max_length=1_000)
    """By name, the fields that a variant has otherwise than others: `{wide: {agent.critic.width: 512}, recipe: {}}`."""
    seeds: Annotated[int, Field(ge=1, le=1_000)] | Annotated[tuple[Seed, ...], Field(min_length=1, max_length=1_000)]
    """How many, from 0 on, or a list."""
    resources: Resources = Resources()
    """Of a trial."""
    retries: Annotated[int, Field(ge=0, le=1_000)] = 3
    """How often a trial goes on elsewhere after its process was killed or its machine lost."""
    keep: Literal["all", "policy"] = "all"
    """What stays of a finished run's checkpoints: `all` that training goes on from, or the `policy`, some megabytes."""

    @property
    def seed_list(self) -> tuple[int, ...]:
        """The seeds by name, where the file may have their number."""
        return tuple(range(self.seeds)) if isinstance(self.seeds, int) else self.seeds

    @field_validator("seeds")
    @classmethod
    def _seeds_differ(cls, seeds: int | tuple[int, ...]) -> int | tuple[int, ...]:
        return seeds if isinstance(seeds, int) else RunConfig(seeds=seeds).seeds

    @field_validator("methods")
    @classmethod
    def _methods_have_names(cls, methods: tuple[str | dict[str, Any], ...]) -> tuple[str | dict[str, Any], ...]:
        for method in methods:
            if isinstance(method, dict) and not isinstance(method.get("name"), str):
                raise ValueError(f"methods: a method needs a name, got {shortened(method)}")
        return methods


def _is_key(part: str) -> bool:
    """Whether a part of an error's place is one of the file, not a kind of value that was tried."""
    return part not in ("int", "str", "constrained-int") and "[" not in part


def read_sweep(path: Path) -> SweepFile:
    """The sweep in a YAML file.

    Raises:
        UserError: no such file, no YAML, an unknown key, or a value of the wrong type or out of range.
    """
    try:
        return SweepFile.model_validate_json(json.dumps(read_yaml(path), default=str))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"] if _is_key(str(part)))
        rule = first["msg"].replace("Input should", "must").replace("Field required", "is missing")
        rule = rule.replace("String should", "must")
        if first["type"] == "value_error":
            raise UserError(f"{path}: {rule.removeprefix('Value error, ')}") from error
        if first["type"] == "extra_forbidden":
            raise UserError(f"{path}: {key}: unknown key; there are {', '.join(SweepFile.model_fields)}") from error
        got = "" if first["type"] == "missing" else f", got {shortened(first['input'])}"
        raise UserError(f"{path}: {key} {rule}{got}") from error
