"""QM9's raw files: what is read, and what is said of damaged ones."""

import gzip
import re

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from mtrl.benchmarks.qm9 import raw
from mtrl.benchmarks.qm9.files import read_folder
from mtrl.runs.errors import UserError
from tests.benchmarks.qm9.raw_sample import write

SDF, CSV, LEFT_OUT = "gdb9.sdf", "gdb9.sdf.csv", "uncharacterized.txt"


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path / "qm9")


def test_methane(folder):
    structures = raw.read_structures(folder / SDF)
    assert structures.names[0] == b"gdb_1"
    assert structures.elements[:5].tolist() == [6, 1, 1, 1, 1]
    assert structures.positions[3].tolist() == [-0.5408, 1.4475, -0.8766]
    assert structures.ends[:4].tolist() == [[1, 0], [2, 0], [3, 0], [4, 0]]
    properties = raw.read_properties(folder / CSV)
    u0 = raw.CSV_HEADER.split(",").index("u0") - 1
    assert properties.values[0, u0] == -40.47893  # Hartree

    methane = read_folder(folder).part(torch.tensor([0]))
    # In eV as torch_geometric has them: homo -0.3877 Hartree, u0_atom -395.999594594 kcal/mol, zpve 0.044749 Hartree.
    expected = [
        0,
        13.21,
        -10.549854,
        3.186453,
        35.3641,
        1.217682,
        -17.172182,
        -17.286825,
        -17.389658,
        -16.151920,
        6.469,
    ]
    assert_close(methane.targets[0], torch.tensor(expected), atol=2e-5, rtol=0)
    graphs = methane.graphs(torch.tensor([0]))
    assert graphs.atoms[0].tolist() == [[0, 1, 0, 0, 0, 6, 0, 0, 0, 0, 4]] + [[1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0]] * 4
    assert graphs.edges[0, :, :, :4].sum((0, 1)).tolist() == [8, 0, 0, 0]
    assert graphs.edges[0, 0, 1:, 0].tolist() == [1, 1, 1, 1]
    assert_close(graphs.edges[0, 0, 1:, 4], torch.full((4,), 1.0919), atol=1e-3, rtol=0)
    assert graphs.present.all()


def test_gzipped_files_in_a_folder_called_raw_are_the_same(folder, tmp_path):
    (tmp_path / "raw").mkdir()
    for name in (SDF, CSV, LEFT_OUT):
        (tmp_path / "raw" / f"{name}.gz").write_bytes(gzip.compress((folder / name).read_bytes()))
    for ours, theirs in zip(read_folder(folder), read_folder(tmp_path), strict=True):
        assert torch.equal(ours, theirs)


def test_line_ends_of_windows_are_read(folder):
    before = read_folder(folder)
    for name in (SDF, CSV, LEFT_OUT):
        (folder / name).write_bytes((folder / name).read_bytes().replace(b"\n", b"\r\n"))
    for ours, theirs in zip(before, read_folder(folder), strict=True):
        assert torch.equal(ours, theirs)


def test_molecules_that_failed_the_geometry_check_are_left_out(folder, tmp_path):
    some = read_folder(write(tmp_path / "some", left_out=(1, 7, 40)))
    kept = torch.tensor([i for i in range(40) if i + 1 not in (1, 7, 40)])
    for ours, theirs in zip(read_folder(folder).part(kept), some, strict=True):
        assert torch.equal(ours, theirs)


def test_padding_is_cut_to_the_largest_of_a_batch(folder):
    molecules = read_folder(folder)
    sizes = (molecules.elements > 0).sum(1)
    assert sizes.max() == 12
    small = (sizes <= 6).nonzero()[:3, 0]
    graphs = molecules.graphs(small)
    assert graphs.present.shape == (3, int(sizes[small].max()))
    for row, i in enumerate(small):
        n = int(sizes[i])
        assert graphs.present[row].sum() == n
        alone = molecules.graphs(i[None])
        assert torch.equal(graphs.atoms[row, :n], alone.atoms[0])
        assert torch.equal(graphs.edges[row, :n, :n], alone.edges[0])


@pytest.mark.parametrize("name", [SDF, CSV, LEFT_OUT])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    fails(folder, folder / name, "is not there")


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-20], lambda data: data[:40] + b"\0" * 9 + data[49:], lambda data: b"x"]
)
def test_a_damaged_gzip_is_named(folder, damage):
    path = folder / f"{SDF}.gz"
    path.write_bytes(damage(gzip.compress((folder / SDF).read_bytes())))
    (folder / SDF).unlink()
    fails(folder, path, "not a whole gzip file")


DAMAGES = {
    "no line end after the csv": (CSV, lambda text: text[:-1], "cut short"),
    "no line end after the sdf": (SDF, lambda text: text[:-1], "cut short"),
    "half an sdf": (SDF, lambda text: text[:900], "cut short"),
    "an empty sdf": (SDF, lambda text: "", "cut short"),
    "an empty csv": (CSV, lambda text: "", "cut short"),
    "a count too many": (
        SDF,
        lambda text: text.replace("  5  4  0", "  9  4  0"),
        "line 4: expected counts",
    ),
    "an atom that is not counted": (
        SDF,
        lambda text: text.replace("  5  4  0", "  4  4  0"),
        "line 13: expected the properties",
    ),
    "a bond that is not counted": (
        SDF,
        lambda text: text.replace("  5  4  0", "  5  3  0"),
        "line 13: expected the properties",
    ),
    "no atoms": (SDF, lambda text: text.replace("  5  4  0", "  0  0  0"), "line 4: expected counts"),
    "counts that are none": (SDF, lambda text: text.replace("  5  4  0", "  5  x  0"), "line 4: expected an integer"),
    "an atom line that is short": (
        SDF,
        lambda text: text.replace("1.0858    0.0080 C   0  0  0  0  0  0  0  0  0  0  0  0", "1.0858"),
        "line 5: expected at least",
    ),
    "a coordinate that is none": (
        SDF,
        lambda text: text.replace("1.0858", "1.o858"),
        "line 5: expected a number in columns 11",
    ),
    "a coordinate that is NaN": (
        SDF,
        lambda text: text.replace("1.0858", "   nan"),
        "line 5: expected a finite number",
    ),
    "another element": (SDF, lambda text: text.replace("0.0080 C ", "0.0080 Si"), "line 5: expected an element"),
    "a bond to nowhere": (
        SDF,
        lambda text: text.replace("  5  1  1  0", "  6  1  1  0"),
        "line 13: expected a bond between",
    ),
    "a bond of type 7": (
        SDF,
        lambda text: text.replace("  5  1  1  0", "  5  1  7  0"),
        "line 13: expected a bond type",
    ),
    "another header": (CSV, lambda text: text.replace("mol_id", "name"), "needs the header"),
    "a column too few": (CSV, lambda text: text.replace(",13.21", ""), "line 2: expected 20 columns, got 19"),
    "a word in the csv": (CSV, lambda text: text.replace("13.21", "big"), "expected numbers"),
    "NaN in the csv": (CSV, lambda text: text.replace("13.21", "nan"), "line 2: expected finite numbers"),
    "a row too few": (CSV, lambda text: "".join(text.splitlines(keepends=True)[:-1]), "needs the 40 molecules of"),
    "rows in another order": (
        CSV,
        lambda text: "".join([*(lines := text.splitlines(keepends=True))[:2], lines[3], lines[2], *lines[4:]]),
        "line 3: expected gdb_2",
    ),
    "a molecule without number": (
        None,
        lambda text: text.replace("gdb_1\n", "methane\n").replace("gdb_1,", "methane,"),
        "needs molecules called gdb_<number>, got 'methane'",
    ),
    "fewer left out than said": (
        LEFT_OUT,
        lambda text: text.replace("0 compounds", "3054 compounds"),
        "got 0 rows and 3054",
    ),
    "no count of those left out": (
        LEFT_OUT,
        lambda text: text.replace("0 compounds", ""),
        "no line '<count> compounds'",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_said_in_one_line_with_the_path(folder, damage):
    name, change, said = DAMAGES[damage]
    for each in [name] if name else [SDF, CSV]:
        text = (folder / each).read_text()
        assert change(text) != text
        (folder / each).write_text(change(text))
    fails(folder, folder / (name or SDF), said)


def fails(folder, path, said):
    with pytest.raises(UserError, match=re.escape(said)) as caught:
        read_folder(folder)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_many_records_are_read_as_one_by_one(folder, tmp_path):
    """Column arithmetic over all records against a reader that knows one line at a time."""
    lines = (folder / SDF).read_text().splitlines()
    found, position = [], 0
    while position < len(lines):
        atoms = int(lines[position + 3][:3])
        of_atoms = lines[position + 4 : position + 4 + atoms]
        found += [(line[31:34].strip(), *(float(part) for part in line[:30].split())) for line in of_atoms]
        position = lines.index("$$$$", position) + 1
    structures = raw.read_structures(folder / SDF)
    assert structures.atoms.sum() == len(found)
    assert [raw.ELEMENTS[symbol.encode()] for symbol, *_ in found] == structures.elements.tolist()
    assert np.array_equal(np.array([xyz for _, *xyz in found]), structures.positions)
