"""The trials of a sweep: its runs, each with the seeds that one process trains."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from mtrl.agents.config import Config
from mtrl.nested import flat
from mtrl.runs.errors import UserError
from mtrl.runs.section import RunConfig
from mtrl.supervised import SupervisedRunConfig
from mtrl.sweep.file import Resources, SweepFile

Words = dict[str, list[str]]
Load = Callable[[Words], RunConfig]
"""Makes the base's configuration, with the words of a command line for some of its fields."""


@dataclass(frozen=True)
class Trial:
    """What one process trains: a seed of a run, or several side by side."""

    config: RunConfig
    """Of these seeds alone."""
    place: Path = Path()
    """That a relative `out` is from: the folder that a process is in, where nothing else is said."""

    @property
    def key(self) -> str:
        """Unique in its sweep: `nash_mtl/seed_0`."""
        first, *more = self.config.seeds
        return f"{self.config.name}/seed_{first}" + "".join(f"+{seed}" for seed in more)

    @property
    def folders(self) -> dict[int, Path]:
        """The folders of its runs, by seed."""
        return {seed: self.place / folder for seed, folder in self.config.folders.items()}

    def for_any_process(self) -> Self:
        """The same trial for a process that may be in another folder; what it saves of `out` stays as it is."""
        config, here = self.config, Path.cwd()
        if isinstance(config, SupervisedRunConfig) and config.data is not None:
            config = config.model_copy(update={"data": str(here / Path(config.data).expanduser())})
        return replace(self, config=config, place=here)


def trials(file: SweepFile, out: Path, load: Load) -> list[Trial]:
    """All trials: the first seeds of every run, then the next ones, so that there is something of each early.

    Raises:
        UserError: a run's configuration is not valid, or two runs are the same; the variant and the method are named.
    """
    configs = [_config(file, given, label, load, out / file.name) for label, given in _runs(file)]
    seeds, size = file.seed_list, file.resources.seeds_together
    groups = [seeds[start : start + size] for start in range(0, len(seeds), size)]
    return [Trial(config.model_copy(update={"seeds": group})) for group in groups for config in configs]


def _runs(file: SweepFile) -> Iterator[tuple[str, Words]]:
    """The name of each run, and in what it differs from the base."""
    seen: set[str] = set()
    for variant, changes in (file.variants or {"": {}}).items():
        for method in file.methods or ("",):
            named = {"name": method} if isinstance(method, str) else method
            label = "-".join(part for part in (_label(named), variant) if part) or "base"
            if label in seen:
                raise UserError(f"methods and variants: {label} is there twice")
            seen.add(label)
            fields = flat(file.changes) | flat(changes)
            fields |= {f"method.{name}": value for name, value in named.items()} if method else {}
            yield label, {key: _words(value) for key, value in fields.items()}


def _label(method: Mapping[str, Any]) -> str:
    """`cagrad-c-0.4` of `{name: cagrad, c: 0.4}`."""
    parts = [method["name"], *(f"{name}-{value}" for name, value in method.items() if name != "name")]
    return re.sub(r"[^\w.]+", "-", "-".join(parts)).strip("-.")


def _words(value: Any) -> list[str]:
    """The words that say it on a command line."""
    if isinstance(value, list) and len(value) > 1 and not any(isinstance(item, list | dict) for item in value):
        return [word for item in value for word in _words(item)]
    return [value if isinstance(value, str) else json.dumps(value)]


def _config(file: SweepFile, given: Words, label: str, load: Load, folder: Path) -> RunConfig:
    try:
        config = load(given | {"name": [label], "out": [str(folder)]})
        return _within(config, file.resources)
    except UserError as error:
        raise UserError(f"{label}: {error}") from error


def _within(config: RunConfig, resources: Resources) -> RunConfig:
    """The configuration on these resources.

    Raises:
        UserError: it wants others.
    """
    if resources.gpus == 0 and config.device.startswith("cuda"):
        raise UserError(f"resources.gpus must be above 0 with device {config.device!r}, got 0")
    if config.device == "auto":
        config = config.model_copy(update={"device": "cuda" if resources.gpus else "cpu"})
    if isinstance(config, Config):
        threads = config.training.threads or max(1, resources.cpus // resources.ranks)
        changes = {"threads": threads, "seeds_at_once": resources.seeds_together}
        return config.model_copy(update={"training": config.training.model_copy(update=changes)})
    assert isinstance(config, SupervisedRunConfig)
    if resources.seeds_together > 1:
        raise UserError(f"resources.seeds_together must be 1 in supervised learning, got {resources.seeds_together}")
    if resources.ranks > 1:
        raise UserError(f"resources.ranks must be 1 in supervised learning, got {resources.ranks}")
    return config.model_copy(update={"threads": config.threads or resources.cpus})
