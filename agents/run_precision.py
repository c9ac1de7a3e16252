"""The number format of a run: chosen once, for all its seeds, whenever and wherever they are trained."""

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch

from mtrl.agents.config import Config
from mtrl.agents.precision import Precision, choose, with_precision
from mtrl.runs.errors import UserError, disk_errors
from mtrl.runs.files import write_atomically
from mtrl.runs.folder import load_config
from mtrl.runs.json_text import parse_json
from mtrl.runs.lock import taking_turns
from mtrl.runs.reading import parse_file

FILE = "precision.json"
"""The file, in the folder that a run's seeds lie in, that says what `auto` became."""


def settle_precision(config: Config, folders: Mapping[int, Path], device: torch.device) -> tuple[Config, str | None]:
    """The configuration with the run's own format, and what to tell of it.

    What `auto` becomes is written beside the seeds `seed_<k>`: those that are added later have it too, and those that
    begin at once in processes of their own.

    Args:
        config: of the run.
        folders: of its seeds, as for `mtrl.agents.train`.
        device: of the learner.

    Raises:
        UserError: the disk is full or read-only.
    """
    if config.training.precision != "auto":
        return config, choose(config, device).line
    with _one_at_a_time(list(folders.values())) as root:
        kept = _kept(list(folders.values()), root)
        choice = choose(config, device, kept)
        if root and not kept:
            write_atomically(root / FILE, json.dumps({"precision": choice.precision, "because": choice.line}) + "\n")
    return with_precision(config, choice.precision), choice.line


@contextlib.contextmanager
def _one_at_a_time(folders: Sequence[Path]) -> Iterator[Path | None]:
    """The folder that the seeds lie in, while no other process is here for it; None where they do not lie together."""
    roots = {folder.parent for folder in folders}
    if len(roots) > 1 or not all(folder.name.startswith("seed_") for folder in folders):
        yield None
        return
    (root,) = roots
    with disk_errors(root):
        root.mkdir(parents=True, exist_ok=True)
        with taking_turns(root):
            yield root


def _kept(folders: Sequence[Path], root: Path | None) -> Precision | None:
    """The format that the run was given before: that of these seeds, of the run's file, or of other seeds."""
    beside = sorted(root.glob("seed_*")) if root else []
    found = [*map(_of_seed, folders), _of_file(root / FILE) if root else None, *map(_of_seed, beside)]
    return next((precision for precision in found if precision), None)


def _of_seed(folder: Path) -> Precision | None:
    """None if there is no run, or none of this kind."""
    with contextlib.suppress(UserError):
        precision = load_config(folder, Config).training.precision
        return None if precision == "auto" else precision
    return None


def _of_file(path: Path) -> Precision | None:
    """None if there is no such file, or none that was written here."""
    with contextlib.suppress(UserError, KeyError, TypeError):
        precision: Precision = parse_file(path, parse_json)["precision"]
        return precision if precision in ("float32", "bfloat16") else None
    return None
