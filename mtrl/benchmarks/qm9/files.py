"""QM9's folder as arrays: the raw files, or what torch_geometric made of them."""

import re
from pathlib import Path

import numpy as np
import torch

from mtrl.benchmarks.qm9 import processed, raw
from mtrl.benchmarks.qm9.molecules import Molecules, molecules
from mtrl.runs.errors import UserError

RAW_NAMES = ("gdb9.sdf", "gdb9.sdf.csv", "uncharacterized.txt")


def read_folder(folder: Path) -> Molecules:
    """All molecules that passed the geometry check, in the files' order.

    Args:
        folder: has `gdb9.sdf`, `gdb9.sdf.csv` and `uncharacterized.txt`, plain or .gz, by themselves or in `raw`; or,
            without a `gdb9.sdf`, torch_geometric's `processed/data_v3.pt`.

    Raises:
        UserError: a file is missing or damaged, or two of them disagree; one line with the path.
    """
    if (folder / processed.NAME).is_file() and not any(raw.places(folder, RAW_NAMES[0])):
        return processed.read(folder / processed.NAME)
    sdf, csv, uncharacterized = (raw.find(folder, name) for name in RAW_NAMES)
    structures, properties = raw.read_structures(sdf), raw.read_properties(csv)
    if len(structures.names) != len(properties.names):
        raise UserError(f"{csv} needs the {len(structures.names):,} molecules of {sdf}, got {len(properties.names):,}")
    differ = np.flatnonzero(structures.names != properties.names)
    if len(differ):
        ours, theirs = (x.names[differ[0]].decode("utf-8", "replace") for x in (structures, properties))
        raise UserError(f"{csv}, line {differ[0] + 2}: expected {ours}, as in {sdf}, got {theirs}")
    left_out = set(raw.read_uncharacterized(uncharacterized).tolist())
    kept = [i for i, name in enumerate(structures.names) if _number(sdf, name) not in left_out]
    return molecules(structures, properties).part(torch.tensor(kept, dtype=torch.int64))


def _number(path: Path, name: bytes) -> int:
    match = re.fullmatch(rb"gdb_(\d+)", name)
    if match is None:
        raise UserError(f"{path} needs molecules called gdb_<number>, got {name.decode('utf-8', 'replace')!r}")
    return int(match[1])
