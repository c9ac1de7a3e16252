"""Checkpoints: written whole or not at all; the newest and the last but one are kept."""

import pickle
from pathlib import Path
from typing import Any

import torch

from mtrl.runs.errors import UserError
from mtrl.runs.files import replacing

KEPT = 2


def save(folder: Path, step: int, state: dict[str, Any]) -> None:
    """Writes `folder/<step>.pt` through a temporary file, then removes all but the newest two.

    Raises:
        OSError: the disk is full, say; what was there before is still there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with replacing(folder / f"{step:012d}.pt") as file:
            torch.save(state, file)
    except RuntimeError as error:
        if isinstance(error.__context__, OSError):  # torch trips over the file that the disk did not take
            raise error.__context__ from error
        raise
    for old in _all(folder)[:-KEPT]:
        old.unlink()


def load_newest(folder: Path) -> dict[str, Any]:
    """The state of the newest checkpoint, on the CPU.

    Raises:
        UserError: there is none, or it cannot be read.
    """
    found = _all(folder)
    if not found:
        raise UserError(f"no checkpoint in {folder}: the run wrote none, or this is not a run's folder")
    try:
        # Our own file: it holds generators' states and numpy arrays besides tensors.
        state: dict[str, Any] = torch.load(found[-1], map_location="cpu", weights_only=False)
    except (EOFError, OSError, RuntimeError, pickle.UnpicklingError, KeyError, ValueError) as error:
        fix = f"; remove it to use {found[-2].name}" if len(found) > 1 else ""
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"checkpoint {found[-1]} is damaged ({reason}){fix}") from error
    return state


def exists(folder: Path) -> bool:
    """Whether there is a checkpoint."""
    return bool(_all(folder))


def _all(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.pt"))
