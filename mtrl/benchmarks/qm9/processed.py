"""QM9 as torch_geometric saved it. Needs torch_geometric (extra `qm9`), whose classes the file names.

The file is a pickle. Of what it may call, tensors, plain data and torch_geometric's own containers are trusted, as by
torch_geometric itself, and nothing else: no program in it runs.
"""

import importlib
import pickle
from pathlib import Path

import torch
from torch import Tensor

from mtrl.benchmarks.qm9.molecules import Molecules
from mtrl.extras import install
from mtrl.runs.errors import UserError

NAME = Path("processed", "data_v3.pt")
TARGETS = (0, 1, 2, 3, 5, 6, 12, 13, 14, 15, 11)
"""Columns of its `y`, in eV already, in the order of `COLUMNS`."""


def read(path: Path) -> Molecules:
    """The molecules of `processed/data_v3.pt`.

    Raises:
        UserError: torch_geometric is not installed, or the file is damaged or another.
    """
    try:
        importlib.import_module("torch_geometric")
        data = importlib.import_module("torch_geometric.data")
        storage = importlib.import_module("torch_geometric.data.storage")
    except ImportError as error:
        raise UserError(f"{path} needs torch_geometric: {install('qm9')}, or use the raw files") from error
    try:
        with torch.serialization.safe_globals([data.Data, storage.GlobalStorage]):
            data, slices, *_ = torch.load(path, map_location="cpu", weights_only=True)
        stored = data if isinstance(data, dict) else data.to_dict()
        x: dict[str, Tensor] = {name: stored[name] for name in ("z", "pos", "edge_index", "edge_attr", "y")}
        atoms, bonds = slices["z"].diff(), slices["edge_index"].diff()
    except (EOFError, OSError, RuntimeError, pickle.UnpicklingError, KeyError, ValueError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise UserError(f"{path} is not torch_geometric's processed QM9 ({reason})") from error
    count, size = len(atoms), int(atoms.max())
    of_atoms = torch.repeat_interleave(torch.arange(count), atoms)
    within = torch.arange(len(of_atoms)) - slices["z"][of_atoms]
    elements = torch.zeros(count, size, dtype=torch.uint8)
    elements[of_atoms, within] = x["z"].byte()
    positions = torch.zeros(count, size, 3)
    positions[of_atoms, within] = x["pos"]
    orders = torch.zeros(count, size, size, dtype=torch.uint8)
    of_bonds = torch.repeat_interleave(torch.arange(count), bonds)
    orders[of_bonds, x["edge_index"][0], x["edge_index"][1]] = x["edge_attr"].argmax(1).byte() + 1
    return Molecules(elements, positions, orders, x["y"][:, TARGETS])
