"""Checkpoints of older versions, which are pickles, made files of this version.

A pickle is a program: torch's unpickler of weights runs none but the constructors that it is given, those of plain
data, of tensors, and of what older versions wrote beside them. Any other name in the file ends the conversion.
"""

import pickle
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mtrl.runs import checkpoint
from mtrl.runs.errors import UserError
from mtrl.runs.identity import Identity
from mtrl.runs.tree_file import read_about

_NUMPY = (
    np._core.multiarray._reconstruct,  # type: ignore[attr-defined]
    np._core.multiarray.scalar,  # type: ignore[attr-defined]
    np.ndarray,
    np.dtype,
    *(type(np.dtype(name)) for name in ("bool", "uint8", "uint32", "uint64", "int8", "int32", "int64")),
    *(type(np.dtype(name)) for name in ("float32", "float64")),
)
_DAMAGED = (
    *(EOFError, OSError, RuntimeError, MemoryError),
    *(KeyError, ValueError, TypeError, AttributeError, IndexError),
)


def _no_bytes() -> bytes:
    """Stands in place of `bytes`, which empty arrays call without arguments, and a bomb with one."""
    return b""


def trusted(records: Mapping[str, type]) -> str:
    """What the conversion lets a file call, in words.

    Args:
        records: named tuples that older versions wrote, by the names that they had there.
    """
    return f"tensors, numpy arrays, collections.Counter, {', '.join(records)}"


def convert(path: Path, records: Mapping[str, type], run: Identity | None) -> None:
    """Replaces a file by one of this version that holds the same; whole or not at all.

    Args:
        path: a checkpoint of a supervised run.
        records: named tuples that older versions wrote, by the names that they had there.
        run: that it is of; None if that is no supervised run.

    Raises:
        UserError: it is no file of an older version, or of an agent, or it calls something else.
    """
    if not path.is_file():
        raise UserError(f"{path} is no file")
    if _is_of_this_version(path):
        raise UserError(f"{path} is of this version already")
    if run is None:
        raise UserError(f"{path} is not in the checkpoints of a supervised run, and {checkpoint.OLD_AGENTS}")
    state = _read(path, records)
    try:
        checkpoint.write(path, state, {**run, "step": _step(path, state)})
    except TypeError as error:
        raise UserError(f"{path} holds no state of an older version: {error}") from error


def _is_of_this_version(path: Path) -> bool:
    try:
        read_about(path)
    except (OSError, ValueError):
        return False
    return True


def _read(path: Path, records: Mapping[str, type]) -> Any:
    try:
        named = [(record, name) for name, record in records.items()]
        with torch.serialization.safe_globals([*_NUMPY, (_no_bytes, "builtins.bytes"), Counter, *named]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(f"{path} was not converted: it holds more than {trusted(records)}") from error
    except _DAMAGED as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path} is no checkpoint of an older version, or damaged ({reason})") from error


def _step(path: Path, state: Any) -> int:
    step = state.get("step") if isinstance(state, dict) else None
    if type(step) is not int or path.name != checkpoint.name(step):
        raise UserError(f"{path} is of step {step!r}, not the one that it is called after")
    return step
