"""A run on disk: `config.yaml`, `metrics.jsonl`, `checkpoints/`, `evaluation.json`."""

import json
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from mtrl.protocols import EVALUATION_FILES
from mtrl.runs import checkpoint
from mtrl.runs.claim import check_claim
from mtrl.runs.errors import UserError
from mtrl.runs.events import Logged, Told
from mtrl.runs.files import write_atomically
from mtrl.runs.identity import differences
from mtrl.runs.invalid import first_wrong
from mtrl.runs.metrics_file import read_events, read_lines
from mtrl.runs.section import RunConfig
from mtrl.runs.yaml_file import dump_yaml, read_yaml

C = TypeVar("C", bound=RunConfig)


def save_config(folder: Path, config: RunConfig, seed: int) -> None:
    """Writes the configuration of one seed as YAML; it is a valid input."""
    write_atomically(folder / "config.yaml", dump_yaml(config.of_seed(seed).model_dump(mode="json")))


def load_config(folder: Path, kind: type[C]) -> C:
    """The configuration, of this kind, that a run was made with.

    Raises:
        UserError: this is not a run's folder, or a run of another kind, or its configuration is not valid.
    """
    path = folder / "config.yaml"
    if not path.is_file():
        raise UserError(f"{folder} is not the folder of a run: it has no config.yaml")
    tree = read_yaml(path)
    if "benchmark" in tree and "benchmark" not in kind.model_fields:
        raise UserError(f"{folder} is a supervised run, which has no policy")
    if "env" in tree and "env" not in kind.model_fields:
        raise UserError(f"{folder} is a run of reinforcement learning, not a supervised one")
    try:
        return kind.model_validate_json(json.dumps(tree))
    except ValidationError as error:
        raise UserError(f"{path} is not a valid configuration: {first_wrong(error, kind)}") from error


def check_same(folder: Path, config: RunConfig, seed: int) -> None:
    """Refuses to continue a run with another configuration or seed, see `differences`.

    Raises:
        UserError: names every field that differs.
    """
    old = load_config(folder, type(config))
    if changes := differences(old, config.of_seed(seed)):
        raise UserError(f"{folder} was made with another config: {'; '.join(changes)}")


def was_trained(folder: Path) -> bool:
    """Whether a folder holds something that was trained: a checkpoint, a result, or more of a log than its start."""
    if checkpoint.exists(folder / "checkpoints") or _is_evaluated(folder):
        return True
    return any(event["kind"] != "start" for event in read_events(folder / "metrics.jsonl"))


def check_may_train(folder: Path, config: RunConfig, seed: int, resume: bool) -> None:
    """Refuses to write over a run, or to continue one that was made otherwise; a folder where none was trained is fine.

    Raises:
        UserError: it holds a run and `resume` is false, or one without a checkpoint to go on from that is evaluated or
            has lost its `config.yaml`; or see `check_same`.
    """
    if not was_trained(folder):
        return
    if not resume:
        raise UserError(
            f"run {folder} exists and is never overwritten: add --resume, or choose another --name or --out"
        )
    has_checkpoint = checkpoint.exists(folder / "checkpoints")
    if (folder / "config.yaml").exists():
        check_same(folder, config, seed)
    elif not has_checkpoint:  # which carries the configuration, and is asked for it when it is read
        raise UserError(f"run {folder} has lost its config.yaml: put it back, or choose another --name or --out")
    if _is_evaluated(folder) and not has_checkpoint:
        raise UserError(
            f"run {folder} is evaluated but has no checkpoint to go on from; anew it needs another --name or --out"
        )


def _is_evaluated(folder: Path) -> bool:
    return any((folder / name).exists() for name in EVALUATION_FILES.values())


class MetricsLog:
    """Appends events to `metrics.jsonl`, a JSON object a line, and passes them on.

    Args:
        path: of the file.
        keep_until_step: events after this step, left by a run that is resumed, are dropped: they come again.
        on_event: also told of every event.
    """

    def __init__(self, path: Path, keep_until_step: int, on_event: Told) -> None:
        self.path, self.on_event = path, on_event
        if path.exists():
            bad: list[str] = []
            lines = [line for line in read_lines(path, bad.append) if line.event.get("step", 0) <= keep_until_step]
            write_atomically(path, "".join(line.text.decode() + "\n" for line in lines))
            for text in bad:
                on_event({"kind": "note", "text": text})

    def write(self, event: Logged) -> None:
        """Adds a line to the file, and tells of it."""
        check_claim(self.path)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(event, allow_nan=False) + "\n")
        self.on_event(event)
