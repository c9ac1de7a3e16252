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
    write(folder / _name(step), state)
    for old in _all(folder)[:-KEPT]:
        old.unlink()


def write(path: Path, state: dict[str, Any]) -> None:
    """Writes one file through a temporary one.

    Raises:
        OSError: the disk is full, say; what was there before is still there.
    """
    try:
        with replacing(path) as file:
            torch.save(state, file)
    except RuntimeError as error:
        if isinstance(error.__context__, OSError):  # torch trips over the file that the disk did not take
            raise error.__context__ from error
        raise


def load_newest(folder: Path) -> dict[str, Any]:
    """The state of the newest checkpoint, on the CPU.

    Raises:
        UserError: there is none, or it cannot be read.
    """
    found = steps(folder)
    if not found:
        raise UserError(f"no checkpoint in {folder}: the run wrote none, or this is not a run's folder")
    return load(folder, found[-1])


def load(folder: Path, step: int) -> dict[str, Any]:
    """The state of the checkpoint of a step, one of `steps`, on the CPU.

    Raises:
        UserError: it cannot be read.
    """
    try:
        return read(folder / _name(step))
    except UserError as error:
        older = [other for other in steps(folder) if other < step]
        fix = f"; remove it to use {_name(older[-1])}" if older else ""
        raise UserError(f"checkpoint {error}{fix}") from error


def read(path: Path) -> dict[str, Any]:
    """The state in a file, on the CPU.

    Raises:
        UserError: it cannot be read.
    """
    try:
        # Our own file: it holds generators' states and numpy arrays besides tensors.
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=False)
    except (EOFError, OSError, RuntimeError, pickle.UnpicklingError, KeyError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path} is damaged ({reason})") from error
    return state


def steps(folder: Path) -> list[int]:
    """The steps that there are checkpoints of, the newest last."""
    return [int(path.stem) for path in _all(folder)]


def exists(folder: Path) -> bool:
    """Whether there is a checkpoint."""
    return bool(_all(folder))


def _name(step: int) -> str:
    return f"{step:012d}.pt"


def _all(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.pt"))
