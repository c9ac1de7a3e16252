"""torch_geometric's processed QM9 gives what the raw files give."""

import re
import sys

import pytest
import torch
from torch.testing import assert_close

from mtrl.benchmarks.qm9 import processed, raw
from mtrl.benchmarks.qm9.files import read_folder
from mtrl.benchmarks.qm9.molecules import HARTREE_EV, KCAL_PER_MOL_EV
from mtrl.runs.errors import UserError
from tests.benchmarks.qm9.raw_sample import write


@pytest.fixture
def folders(tmp_path):
    """The same molecules, raw and as torch_geometric saves them."""
    geometric = pytest.importorskip("torch_geometric.data")
    folder = write(tmp_path / "raw")
    structures, properties = raw.read_structures(folder / "gdb9.sdf"), raw.read_properties(folder / "gdb9.sdf.csv")
    values = torch.tensor(properties.values, dtype=torch.float32)
    values = torch.cat([values[:, 3:], values[:, :3]], 1)
    energy, of_atoms = HARTREE_EV, KCAL_PER_MOL_EV
    factors = [1, 1, *[energy] * 3, 1, *[energy] * 5, 1, *[of_atoms] * 4, 1, 1, 1]
    molecules, atom, bond = [], 0, 0
    for i, (n, m) in enumerate(zip(structures.atoms, structures.bonds, strict=True)):
        ends = torch.from_numpy(structures.ends[bond : bond + m]).T
        orders = torch.from_numpy(structures.orders[bond : bond + m]).long()
        molecules.append(
            geometric.Data(
                z=torch.from_numpy(structures.elements[atom : atom + n]).long(),
                pos=torch.from_numpy(structures.positions[atom : atom + n]).float(),
                edge_index=torch.cat([ends, ends.flip(0)], 1),
                edge_attr=torch.nn.functional.one_hot(torch.cat([orders, orders]) - 1, 4).float(),
                y=values[i : i + 1] * torch.tensor(factors),
            )
        )
        atom, bond = atom + n, bond + m
    path = tmp_path / "geometric" / processed.NAME
    path.parent.mkdir(parents=True)
    geometric.InMemoryDataset.save(molecules, str(path))
    return folder, tmp_path / "geometric"


def test_it_gives_what_the_raw_files_give(folders):
    for ours, theirs in zip(*(read_folder(folder) for folder in folders), strict=True):
        assert_close(ours, theirs)


def test_the_raw_files_come_first(folders):
    folder, geometric = folders
    (geometric / "raw").symlink_to(folder)
    (geometric / processed.NAME).write_bytes(b"damaged")
    read_folder(geometric)


def test_a_damaged_file_is_named(folders):
    path = folders[1] / processed.NAME
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(UserError, match=re.escape(f"{path} is not torch_geometric's processed QM9")) as caught:
        read_folder(folders[1])
    assert "\n" not in str(caught.value)


def test_without_torch_geometric_it_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "processed").mkdir()
    (tmp_path / processed.NAME).write_bytes(b"")
    monkeypatch.setitem(sys.modules, "torch_geometric", None)
    with pytest.raises(UserError, match=r"pip install 'mtrl-torch\[qm9\]'"):
        read_folder(tmp_path)
