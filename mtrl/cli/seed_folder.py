"""Which seed of a run is meant."""

from pathlib import Path

from mtrl.runs.errors import UserError
from mtrl.runs.reading import find_runs


def seed_folder(run: Path, seed: int | None) -> Path:
    """The folder of one seed.

    Args:
        run: a seed's folder, or a folder of seeds.
        seed: which; the first by default.

    Raises:
        UserError: there is no run.
        UserError: there is no such seed.
    """
    folders = find_runs([run])
    if seed is None:
        return folders[0]
    for folder in folders:
        if folder.name == f"seed_{seed}":
            return folder
    raise UserError(f"--seed {seed}: {run} has {', '.join(folder.name for folder in folders)}")
