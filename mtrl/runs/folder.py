"""A run on disk: `config.yaml`, `metrics.jsonl`, `checkpoints/`, `evaluation.json`."""

import contextlib
import errno
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from mtrl.nested import flat
from mtrl.runs.errors import UserError
from mtrl.runs.files import replacing
from mtrl.runs.section import RunConfig

C = TypeVar("C", bound=RunConfig)


def write_atomically(path: Path, text: str) -> None:
    """Replaces a file by a complete new one."""
    with replacing(path) as file:
        file.write(text.encode())


def save_config(folder: Path, config: RunConfig, seed: int) -> None:
    """Writes the configuration of one seed as YAML; it is a valid input."""
    tree = config.model_copy(update={"seeds": (seed,)}).model_dump(mode="json")
    write_atomically(folder / "config.yaml", yaml.safe_dump(tree, sort_keys=False))


def load_config(folder: Path, kind: type[C]) -> C:
    """The configuration, of this kind, that a run was made with.

    Raises:
        UserError: this is not a run's folder, or its configuration is not valid.
    """
    path = folder / "config.yaml"
    if not path.is_file():
        raise UserError(f"{folder} is not the folder of a run: it has no config.yaml")
    try:
        return kind.model_validate_json(json.dumps(yaml.safe_load(path.read_text(encoding="utf-8"))))
    except (yaml.YAMLError, ValidationError) as error:
        raise UserError(f"{path} is not a valid configuration: {str(error).splitlines()[0]}") from error


def check_same(folder: Path, config: RunConfig, seed: int) -> None:
    """Refuses to continue a run with another configuration or seed; `auto` is whatever the run was made with.

    Raises:
        UserError: names every field that differs.
    """
    old = load_config(folder, type(config))
    if old.seeds != (seed,):
        raise UserError(f"{folder} was made with another config: seed {old.seeds[0]} there and {seed} here")
    saved, given = (
        {
            name: value
            for name, value in flat(c.model_dump(mode="json")).items()
            if not {name, name.split(".")[0]} & config.may_differ
        }
        for c in (old, config)
    )
    changes = [
        f"{name} is {saved.get(name)!r} there and {given.get(name)!r} here"
        for name in sorted(saved.keys() | given.keys())
        if given.get(name) not in (saved.get(name), "auto")
    ]
    if changes:
        raise UserError(f"{folder} was made with another config: {'; '.join(changes)}")


def check_may_train(folder: Path, config: RunConfig, seed: int, resume: bool) -> None:
    """Refuses to write over a run, or to continue one that was made otherwise; a folder without a run is fine.

    Raises:
        UserError: it holds a run and `resume` is false, or see `check_same`.
    """
    if not (folder / "config.yaml").exists():
        return
    if not resume:
        raise UserError(
            f"run {folder} exists and is never overwritten: add --resume, or choose another --name or --out"
        )
    check_same(folder, config, seed)


def read_events(path: Path) -> list[dict[str, Any]]:
    """The events of a `metrics.jsonl`; none if there is no file. A line that is not whole is left out."""
    if not path.exists():
        return []
    found = (_parsed(line) for line in path.read_text(encoding="utf-8", errors="replace").splitlines())
    return [event for event in found if event is not None]


class MetricsLog:
    """Appends events to `metrics.jsonl`, a JSON object a line, and passes them on.

    Args:
        path: of the file.
        keep_until_step: events after this step, left by a run that is resumed, are dropped: they come again.
        on_event: also told of every event.
    """

    def __init__(self, path: Path, keep_until_step: int, on_event: Callable[[dict[str, Any]], None]) -> None:
        self.path, self.on_event = path, on_event
        if path.exists():
            kept = [line for line in path.read_text(encoding="utf-8").splitlines() if _until(line, keep_until_step)]
            write_atomically(path, "".join(line + "\n" for line in kept))

    def write(self, event: dict[str, Any]) -> None:
        """Appends one event."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(event, allow_nan=False) + "\n")
        self.on_event(event)


def _until(line: str, step: int) -> bool:
    event = _parsed(line)
    return event is not None and bool(event.get("step", 0) <= step)


def _parsed(line: str) -> dict[str, Any] | None:
    """None for a line that was being written when the run was killed, or is still."""
    try:
        event = json.loads(line)
    except json.JSONDecodeError:
        return None
    return event if isinstance(event, dict) and "kind" in event else None


@contextlib.contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turns a full or read-only disk into a `UserError`."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS):
            raise UserError(f"cannot write in {folder}: {error.strerror}; what was written before is kept") from error
        raise
