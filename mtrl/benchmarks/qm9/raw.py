"""QM9's raw files: `gdb9.sdf` (fixed-column V2000), `gdb9.sdf.csv` and `uncharacterized.txt`, plain or gzipped.

Axes: `M` molecules, `A` atoms of all molecules, `E` bonds of all molecules.
"""

import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtrl.runs.errors import UserError
from mtrl.runs.files import unpacked

ELEMENTS = {b"H": 1, b"C": 6, b"N": 7, b"O": 8, b"F": 9}
CSV_HEADER = "mol_id,A,B,C,mu,alpha,homo,lumo,gap,r2,zpve,u0,u298,h298,g298,cv,u0_atom,u298_atom,h298_atom,g298_atom"
NEWLINE = 10
MAX_BOND = 4
MOST_BYTES = 1 << 29
"""Of a file, unpacked: `gdb9.sdf` has 278 million."""


class Structures(NamedTuple):
    """What `gdb9.sdf` holds."""

    names: NDArray[np.bytes_]
    """`[M]`, such as `gdb_1`."""
    atoms: NDArray[np.int64]
    """`[M]`, how many atoms a molecule has."""
    bonds: NDArray[np.int64]
    """`[M]`, how many bonds a molecule has."""
    elements: NDArray[np.uint8]
    """`[A]`, atomic numbers."""
    positions: NDArray[np.float64]
    """`[A, 3]`, Angstrom."""
    ends: NDArray[np.int64]
    """`[E, 2]`, the two atoms of a bond, counted from 0 within their molecule."""
    orders: NDArray[np.uint8]
    """`[E]`, 1 to 3, and 4 for aromatic."""


class Properties(NamedTuple):
    """What `gdb9.sdf.csv` holds."""

    names: NDArray[np.bytes_]
    """`[M]`"""
    values: NDArray[np.float64]
    """`[M, 19]`, the columns after `mol_id`, in the file's units (Hartree, kcal/mol for the atomization energies)."""


def places(folder: Path, name: str) -> list[Path]:
    """The files of that name, or gzipped, in the folder or its subfolder `raw`."""
    paths = [folder / part / (name + end) for part in ("", "raw") for end in ("", ".gz")]
    return [path for path in paths if path.is_file()]


def find(folder: Path, name: str) -> Path:
    """The first of `places`.

    Raises:
        UserError: it is not there.
    """
    found = places(folder, name)
    if not found:
        raise UserError(f"QM9 needs {folder / name} or {name}.gz, which is not there")
    return found[0]


def read_bytes(path: Path) -> bytes:
    """A file's content, unpacked if its name ends in .gz.

    Raises:
        UserError: it cannot be unpacked, or is larger than any of QM9's.
    """
    try:
        content = unpacked(path, MOST_BYTES + 1)
    except ValueError as error:
        raise UserError(f"{path} is not a whole gzip file ({error}): get it again") from error
    if len(content) > MOST_BYTES:
        raise UserError(f"{path}: no file of QM9 has more than {MOST_BYTES:,} bytes: get it again")
    return content


def read_structures(path: Path) -> Structures:
    """Atoms, coordinates and bonds of every record.

    Raises:
        UserError: a record is cut short or malformed; the line is named.
    """
    data = read_bytes(path)
    lines = _Lines(path, data)
    last = np.flatnonzero(lines.start_with(b"$$$$"))
    if len(last) == 0 or last[-1] != len(lines.stop) - 1 or not data.endswith(b"\n"):
        raise UserError(f"{path} needs $$$$ and a line end at the end of every record, also the last: it is cut short")
    first = np.concatenate([[0], last[:-1] + 1])
    lines.require(last - first >= 5, first, "a record of at least five lines before $$$$")
    atoms, bonds = lines.integers(first + 3, 0, 3), lines.integers(first + 3, 3, 6)
    after = first + 4 + atoms + bonds
    fits = (atoms > 0) & (bonds >= 0) & (after < last)
    lines.require(fits, first + 3, "counts of atoms and bonds that the record has lines for")
    lines.require(lines.start_with(b"M  ")[after], after, "the properties (M  END) after as many lines as were counted")

    of_atoms = _ranges(first + 4, atoms)
    symbols = np.char.strip(lines.columns(of_atoms, 31, 34))
    elements = np.zeros(len(symbols), np.uint8)
    for symbol, number in ELEMENTS.items():
        elements[symbols == symbol] = number
    lines.require(elements > 0, of_atoms, "an element of H, C, N, O, F in columns 32 to 34")
    positions = np.stack([lines.floats(of_atoms, column, column + 10) for column in (0, 10, 20)], 1)

    of_bonds = _ranges(first + 4 + atoms, bonds)
    ends = np.stack([lines.integers(of_bonds, 0, 3), lines.integers(of_bonds, 3, 6)], 1) - 1
    inside = ((ends >= 0) & (ends < np.repeat(atoms, bonds)[:, None])).all(1) & (ends[:, 0] != ends[:, 1])
    lines.require(inside, of_bonds, "a bond between two different atoms of the molecule")
    orders = lines.integers(of_bonds, 6, 9)
    lines.require((orders >= 1) & (orders <= MAX_BOND), of_bonds, f"a bond type from 1 to {MAX_BOND} in columns 7 to 9")
    return Structures(lines.words(first), atoms, bonds, elements, positions, ends, orders.astype(np.uint8))


def read_properties(path: Path) -> Properties:
    """Every molecule's 19 properties.

    Raises:
        UserError: another header, a row that is not 20 finite columns, no line end after the last row.
    """
    data = read_bytes(path)
    if not data.endswith(b"\n"):
        raise UserError(f"{path} needs a line end after its last row: it is cut short")
    header, *rows = data.decode("utf-8", "replace").splitlines()
    if header != CSV_HEADER:
        raise UserError(f"{path} needs the header {CSV_HEADER}, got {header[:60]!r}")
    for number, row in enumerate(rows, 2):
        if row.count(",") != CSV_HEADER.count(","):
            raise UserError(f"{path}, line {number}: expected 20 columns, got {row.count(',') + 1}")
    try:
        values = np.loadtxt(rows, delimiter=",", usecols=range(1, 20), ndmin=2, comments=None)
    except ValueError as error:
        raise UserError(f"{path}: expected numbers after the name, got {str(error).split(';')[0]}") from error
    bad = np.flatnonzero(~np.isfinite(values).all(1))
    if len(bad):
        raise UserError(f"{path}, line {bad[0] + 2}: expected finite numbers, got {rows[bad[0]]!r}")
    return Properties(np.array([row.split(",", 1)[0] for row in rows], np.bytes_), values)


def read_uncharacterized(path: Path) -> NDArray[np.int64]:
    """Numbers `n` of the molecules `gdb_n` that failed the geometry check: 3,054 in the original file.

    Raises:
        UserError: there are not as many as the last line says.
    """
    lines = read_bytes(path).decode("utf-8", "replace").splitlines()
    numbers = [int(match[1]) for line in lines if (match := re.match(r"\s*(\d+)(?!\s*compounds)\b", line))]
    stated = [int(match[1]) for line in lines if (match := re.match(r"\s*(\d+)\s+compounds", line))]
    if stated != [len(numbers)]:
        said = f"{stated[0]} compounds" if stated else "no line '<count> compounds'"
        raise UserError(f"{path} needs as many rows as its last line says, got {len(numbers)} rows and {said}")
    return np.array(numbers, np.int64)


class _Lines:
    """Lines of a file, read column by column for many lines at once."""

    def __init__(self, path: Path, data: bytes) -> None:
        self.path = path
        self.text = np.frombuffer(data, np.uint8)
        self.stop = np.flatnonzero(self.text == NEWLINE)
        self.start = np.concatenate([[0], self.stop[:-1] + 1])

    def start_with(self, mark: bytes) -> NDArray[np.bool_]:
        """Which lines begin so."""
        found = self.stop - self.start >= len(mark)
        for offset, letter in enumerate(mark):
            found[found] = self.text[self.start[found] + offset] == letter
        return found

    def columns(self, lines: NDArray[np.int64], begin: int, end: int) -> NDArray[np.bytes_]:
        """Columns `begin` to `end - 1`, counted from 0."""
        self.require(self.stop[lines] - self.start[lines] >= end, lines, f"at least {end} columns")
        return self.text[self.start[lines][:, None] + np.arange(begin, end)].view(f"S{end - begin}")[:, 0]

    def integers(self, lines: NDArray[np.int64], begin: int, end: int) -> NDArray[np.int64]:
        return self._numbers(lines, begin, end, np.int64, "an integer")

    def floats(self, lines: NDArray[np.int64], begin: int, end: int) -> NDArray[np.float64]:
        values = self._numbers(lines, begin, end, np.float64, "a number")
        self.require(np.isfinite(values), lines, f"a finite number in columns {begin + 1} to {end}")
        return values

    def words(self, lines: NDArray[np.int64]) -> NDArray[np.bytes_]:
        """Whole lines without the space around them."""
        return np.array([bytes(self.text[self.start[i] : self.stop[i]]).strip() for i in lines], np.bytes_)

    def require(self, right: NDArray[np.bool_], lines: NDArray[np.int64], what: str) -> None:
        """Name the first line that is not right."""
        if not right.all():
            line = int(lines[np.argmin(right)])
            text = bytes(self.text[self.start[line] : self.stop[line]]).decode("utf-8", "replace")
            raise UserError(f"{self.path}, line {line + 1}: expected {what}, got {text!r}")

    def _numbers(self, lines: NDArray[np.int64], begin: int, end: int, kind: type, what: str) -> NDArray[Any]:
        words = self.columns(lines, begin, end)
        try:
            return words.astype(kind)
        except ValueError:
            self.require(
                np.array([_is_number(w, kind) for w in words]), lines, f"{what} in columns {begin + 1} to {end}"
            )
            raise


def _is_number(word: bytes, kind: type) -> bool:
    try:
        np.array(word).astype(kind)
    except ValueError:
        return False
    return True


def _ranges(first: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """`first_i, first_i + 1, ..., first_i + lengths_i - 1`, one after the other."""
    before = np.cumsum(lengths) - lengths
    return np.repeat(first - before, lengths) + np.arange(lengths.sum())
