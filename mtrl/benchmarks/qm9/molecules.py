"""Molecules as padded arrays, and batches of them as complete graphs.

Axes: `M` molecules, `N` atoms of the largest molecule, `B` molecules of a batch.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mtrl.benchmarks.qm9.raw import ELEMENTS, MAX_BOND, Properties, Structures

ATOM_FEATURES, EDGE_FEATURES = 11, 5
HARTREE_EV, KCAL_PER_MOL_EV = 27.211386246, 0.04336414
"""As in torch_geometric's QM9."""
COLUMNS: Mapping[str, tuple[int, float]] = {
    "mu": (3, 1.0),
    "alpha": (4, 1.0),
    "homo": (5, HARTREE_EV),
    "lumo": (6, HARTREE_EV),
    "r2": (8, 1.0),
    "zpve": (9, HARTREE_EV),
    "u0": (15, KCAL_PER_MOL_EV),
    "u": (16, KCAL_PER_MOL_EV),
    "h": (17, KCAL_PER_MOL_EV),
    "g": (18, KCAL_PER_MOL_EV),
    "cv": (14, 1.0),
}
"""Targets of Nash-MTL's benchmark in its order: column of the raw properties, and what turns its unit into eV. The
energies are of atomization."""


class Graphs(NamedTuple):
    """A batch of molecules, every two atoms of one joined."""

    atoms: Tensor
    """`[B, N, 11]`: one-hot of H, C, N, O, F; atomic number; aromatic, sp, sp2, sp3, which torch_geometric leaves at 0
    since it does not sanitize; how many hydrogens are bonded."""
    edges: Tensor
    """`[B, N, N, 5]`: one-hot of single, double, triple, aromatic bond, all 0 without a bond; distance in Angstrom."""
    present: Tensor
    """`[B, N]`, bool: an atom, not padding."""


class Molecules(NamedTuple):
    """A data set, or a part of one."""

    elements: Tensor
    """`[M, N]`, uint8, atomic numbers; 0: padding."""
    positions: Tensor
    """`[M, N, 3]`, Angstrom."""
    bonds: Tensor
    """`[M, N, N]`, uint8, symmetric: 0 none, 1 to 3, 4 aromatic."""
    targets: Tensor
    """`[M, 11]`, those of `COLUMNS`: D, a0^3, eV, eV, a0^2, eV (five), cal/(mol K)."""

    def part(self, rows: Tensor) -> "Molecules":
        """Some of the molecules."""
        return Molecules(*(x[rows] for x in self))

    def graphs(self, rows: Tensor) -> Graphs:
        """Some of the molecules as the network takes them, padded to the largest of them."""
        elements = self.elements[rows]
        present = elements > 0
        n = int(present.sum(1).max())
        elements, present = elements[:, :n], present[:, :n]
        positions, bonds = self.positions[rows, :n], self.bonds[rows, :n, :n]
        kinds = torch.stack([elements == number for number in ELEMENTS.values()], -1)
        hydrogens = ((bonds > 0) & (elements == ELEMENTS[b"H"])[:, None]).sum(-1)
        rest = torch.stack([elements, *[torch.zeros_like(elements)] * 4, hydrogens], -1)
        distance = (positions[:, :, None] - positions[:, None]).norm(dim=-1, keepdim=True)
        one_hot = functional.one_hot(bonds.long(), MAX_BOND + 1)[..., 1:]
        return Graphs(torch.cat([kinds, rest], -1).float(), torch.cat([one_hot, distance], -1), present)


def molecules(structures: Structures, properties: Properties) -> Molecules:
    """The molecules, from raw files of the same molecules in the same order."""
    of_atoms, of_bonds = (np.repeat(np.arange(len(n)), n) for n in (structures.atoms, structures.bonds))
    within = np.arange(len(of_atoms)) - np.repeat(np.cumsum(structures.atoms) - structures.atoms, structures.atoms)
    count, size = len(structures.atoms), int(structures.atoms.max())
    elements = np.zeros((count, size), np.uint8)
    elements[of_atoms, within] = structures.elements
    positions = np.zeros((count, size, 3), np.float32)
    positions[of_atoms, within] = structures.positions
    bonds = np.zeros((count, size, size), np.uint8)
    for a, b in (structures.ends.T, structures.ends.T[::-1]):
        bonds[of_bonds, a, b] = structures.orders
    columns, factors = zip(*COLUMNS.values(), strict=True)
    # Rounded to float32 before and after the conversion, as torch_geometric does.
    targets = properties.values[:, columns].astype(np.float32) * np.array(factors, np.float32)
    return Molecules(*(torch.from_numpy(x) for x in (elements, positions, bonds, targets)))
