"""The trained agents that come with the package, by the name of the configuration that trained them: `mt10/laptop`.

    agents/trained/mt10/laptop/seed_0/
        config.yaml, checkpoints/000002000000.pt, evaluation.json, README.md

Each is a run's folder as `keep: policy` leaves it, with a model card.
"""

import shutil
from pathlib import Path

from mtrl.runs.errors import UserError
from mtrl.runs.policy_only import newest
from mtrl.runs.reading import find_runs

FOLDER = Path(__file__).parent / "trained"
RUN = "a seed's folder, a folder of seeds, or an agent that comes with mtrl, e.g. mt10/laptop"
"""What a command takes that calls `at_hand`."""


def shipped() -> dict[str, Path]:
    """The folders of seeds by name, in the order of their names."""
    folders = {path.parents[1] for path in FOLDER.glob("*/*/seed_*/config.yaml")}
    return {folder.relative_to(FOLDER).as_posix(): folder for folder in sorted(folders)}


def find(word: str | Path) -> Path:
    """The file, or the folder of one seed, that a word means: of a path that exists, else of an agent of the package.

    Args:
        word: a path; or a name like `mt10/laptop`, or `mt10/laptop/seed_1`. Of a folder of seeds the first is meant. A
            word with the ending of a file is a path.

    Raises:
        UserError: it is neither, the names that there are are told; or no run is in the folder.
    """
    path = Path(word) if _is_path(word) else _ours(word)
    return find_runs([path])[0] if path.is_dir() else path


def at_hand(word: str | Path) -> Path:
    """The folder that a word names, of all seeds or of one, for what writes into it; see `find`.

    Agents that come with mtrl are copied to `trained/` in this folder; the copies are run folders like any other.

    Raises:
        UserError: as for `find`; or another policy lies where the copy is to be.
    """
    if _is_path(word):
        return Path(word)
    found = _ours(word)
    for folder in find_runs([found]):
        _copy(folder, _place(folder))
    return _place(found)


def _is_path(word: str | Path) -> bool:
    return Path(word).exists() or bool(Path(word).suffix)


def _ours(word: str | Path) -> Path:
    """The folder of a name, of all seeds or of one."""
    ours = shipped()
    name, is_one, seed = Path(word).as_posix().partition("/seed_")  # without a / at its end
    if name not in ours:
        names = f", and no agent that comes with mtrl, which are: {', '.join(ours)}" if ours else ""
        raise UserError(f"{word} is no folder{names}")
    seeds = [folder.name for folder in find_runs([ours[name]])]
    if is_one and f"seed_{seed}" not in seeds:
        raise UserError(f"{word}: {name} has {', '.join(seeds)}")
    return ours[name] / f"seed_{seed}" if is_one else ours[name]


def _place(folder: Path) -> Path:
    """Where the copy of one of our folders is."""
    return Path("trained") / folder.relative_to(FOLDER)


def _copy(folder: Path, copy: Path) -> None:
    """Copies the folder of one seed, whole or not at all."""
    if not copy.exists():
        partial = copy.with_name(f".{copy.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(folder, partial)
        partial.rename(copy)
    ours, there = (newest(place / "checkpoints") for place in (folder, copy))
    if ours.name != there.name or ours.read_bytes() != there.read_bytes():
        raise UserError(f"{copy} holds another policy than the one that comes with this version: move it away")
