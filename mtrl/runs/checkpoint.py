"""Checkpoints: written whole or not at all, read without running anything; the newest and the last but one are kept."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mtrl.runs.errors import UserError
from mtrl.runs.files import replacing
from mtrl.runs.identity import Identity, check_identity
from mtrl.runs.section import RunConfig
from mtrl.runs.tree_file import NewerError, Saved, read_tree, write_tree

KEPT = 2
OLD_AGENTS = "agents of version 0.1.0 go on, and are evaluated, with that version alone; reports read their runs"
_PICKLES = b"PK\x03\x04", b"\x80"  # what torch.save begins with, zipped or not

State = dict[str, Any]


def save(folder: Path, step: int, state: Mapping[str, Any], run: Identity) -> None:
    """Writes `folder/<step>.pt` through a temporary file, then removes all but the newest two.

    Args:
        folder: of the run's checkpoints.
        step: of the state.
        state: a `Tree`, see `tree_file`.
        run: which it is of.

    Raises:
        OSError: the disk is full, say; what was there before is still there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / name(step), state, {**run, "step": step})
    for old in _all(folder)[:-KEPT]:
        old.unlink()


def write(path: Path, state: Mapping[str, Any], about: Identity) -> None:
    """Writes one file through a temporary one.

    Raises:
        OSError: the disk is full, say; what was there before is still there.
    """
    with replacing(path) as file:
        write_tree(file, about, state)


def load_newest(folder: Path, run: RunConfig | None = None) -> State:
    """The state of the newest checkpoint, on the CPU; arguments as for `load`.

    Raises:
        UserError: there is none, it is damaged or another run's.
    """
    found = steps(folder)
    if not found:
        raise UserError(f"no checkpoint in {folder}: the run wrote none, or this is not a run's folder")
    return load(folder, found[-1], run)


def load(folder: Path, step: int, run: RunConfig | None = None) -> State:
    """The state of the checkpoint of a step, one of `steps`, on the CPU.

    Args:
        folder: of the run's checkpoints.
        step: as the file is called.
        run: the configuration of the run that it must be of, with its one seed; None for any.

    Raises:
        UserError: it cannot be read, or is another run's; it is damaged, and an older one that is whole is offered.
    """
    path = folder / name(step)
    try:
        saved = read(path)
    except UserError as error:
        is_away = isinstance(error.__cause__, OSError)  # whatever is in it: it may be another user's, say
        older = [] if is_away else [s for s in steps(folder) if s < step and _is_whole(folder / name(s))]
        fix = f"; move it away to use {name(older[-1])}, which is whole" if older else ""
        raise UserError(f"checkpoint {error}{fix}") from error
    if run is not None:
        check_identity(saved.about, run, path)
    if saved.about.get("step") != step:
        raise UserError(f"checkpoint {path} is of step {saved.about.get('step')}, not of {step} as it is called")
    return saved.tree


def read(path: Path) -> Saved:
    """The state in a checkpoint's file, with tensors on the CPU, and what was said of it.

    Raises:
        UserError: it cannot be read, is damaged, or of an older or a newer version.
    """
    try:
        with path.open("rb") as file:
            is_pickle = file.read(4).startswith(_PICKLES)
        if is_pickle:
            raise UserError(
                f"{path} is a pickle of an older version, which could run programs: "
                f"`mtrl convert {path}` makes a file of this version of a supervised run's, and runs none; {OLD_AGENTS}"
            )
        saved = read_tree(path)
        if not isinstance(saved.tree, dict):
            raise ValueError("it holds no state")
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    except NewerError as error:
        raise UserError(f"{path} is of a newer version of mtrl, which reads it, or damaged ({error})") from error
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error})") from error
    return saved


@contextlib.contextmanager
def taking(path: Path, passing: type[Exception] | tuple[()] = ()) -> Iterator[None]:
    """What is done within takes a state that was read from this file or folder; an exception of a kind may pass.

    Raises:
        UserError: the state lacks something, or something in it is not of the kind, shape or range that it must have.
    """
    try:
        yield
    except passing:
        raise
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, RuntimeError) as error:
        reason = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error).splitlines()[0]
        raise UserError(f"{path} holds no state that this version can go on from: {reason}") from error


def steps(folder: Path) -> list[int]:
    """The steps that there are checkpoints of, the newest last."""
    return [int(path.stem) for path in _all(folder)]


def exists(folder: Path) -> bool:
    """Whether there is a checkpoint."""
    return bool(_all(folder))


def _is_whole(path: Path) -> bool:
    try:
        read(path)
    except UserError:
        return False
    return True


def name(step: int) -> str:
    """The file name of the checkpoint of a step."""
    return f"{step:012d}.pt"


def _all(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.pt") if path.stem.isdecimal() and path.name == name(int(path.stem)))
