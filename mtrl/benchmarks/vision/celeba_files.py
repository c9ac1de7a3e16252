"""CelebA's text files and where its pictures are. Axes: `T` attributes."""

from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtrl.runs.errors import UserError
from mtrl.runs.files import read_regular

NAMES = [
    "5_o_Clock_Shadow",
    "Arched_Eyebrows",
    "Attractive",
    "Bags_Under_Eyes",
    "Bald",
    "Bangs",
    "Big_Lips",
    "Big_Nose",
    "Black_Hair",
    "Blond_Hair",
    "Blurry",
    "Brown_Hair",
    "Bushy_Eyebrows",
    "Chubby",
    "Double_Chin",
    "Eyeglasses",
    "Goatee",
    "Gray_Hair",
    "Heavy_Makeup",
    "High_Cheekbones",
    "Male",
    "Mouth_Slightly_Open",
    "Mustache",
    "Narrow_Eyes",
    "No_Beard",
    "Oval_Face",
    "Pale_Skin",
    "Pointy_Nose",
    "Receding_Hairline",
    "Rosy_Cheeks",
    "Sideburns",
    "Smiling",
    "Straight_Hair",
    "Wavy_Hair",
    "Wearing_Earrings",
    "Wearing_Hat",
    "Wearing_Lipstick",
    "Wearing_Necklace",
    "Wearing_Necktie",
    "Young",
]
"""In the order of `list_attr_celeba.txt`."""
LAYOUT = "Img/img_align_celeba/ (or _png), Anno/list_attr_celeba.txt, Eval/list_eval_partition.txt (or all in DIR)"
MOST_BYTES = 1 << 28
"""Of a text file: CelebA's largest has 27 million."""
FOLDERS = ("img_align_celeba", "img_align_celeba_png")


class Table(NamedTuple):
    """What the files say, pictures in the order of their names."""

    images: list[Path]
    attributes: NDArray[np.bool_]
    """`[images, T]`"""
    splits: NDArray[np.int64]
    """`[images]`: 0 training, 1 validation, 2 test."""
    partition: Path
    """The file that the splits are from."""


def read_tables(root: Path) -> Table:
    """Matches pictures, attributes and splits by name: their orders may differ.

    Raises:
        UserError: a file is missing or damaged, or does not fit to the others.
    """
    listed, partition = _find(root, "Anno", "list_attr_celeba.txt"), _find(root, "Eval", "list_eval_partition.txt")
    attributes, splits = _attributes(listed), _splits(partition)
    odd = attributes.keys() ^ splits.keys()
    if odd:
        has, lacks = (listed, partition) if min(odd) in attributes else (partition, listed)
        raise UserError(f"{lacks} has no row for {min(odd)}, which {has} has")
    names = sorted(attributes)
    rows = np.array([attributes[name] for name in names])
    return Table(_images(root, names), rows, np.array([splits[name] for name in names]), partition)


def _find(root: Path, folder: str, name: str) -> Path:
    for path in (root / folder / name, root / name):
        if path.is_file():
            return path
    raise UserError(f"{root / folder / name} is missing, also in {root}; expected {LAYOUT}")


def _attributes(path: Path) -> dict[str, list[bool]]:
    """The attributes by picture. The file has their number, names and a row each; the last row needs no newline."""
    lines = _lines(path)
    number, names, rows = "".join(lines[:1]).strip(), "".join(lines[1:2]).split(), lines[2:]
    if names != NAMES:
        raise UserError(f"{path}: expected the number of pictures, then the names of CelebA's 40 attributes")
    if number != str(len(rows)):
        raise UserError(f"{path}: expected {number} rows, as its first line says, got {len(rows)}")
    found = dict(_attribute_row(path, row) for row in rows)
    _refuse_repeated(path, [row.split()[0] for row in rows])
    return found


def _refuse_repeated(path: Path, names: list[str]) -> None:
    """A picture that is there twice may be in two splits, or have two truths."""
    if repeated := next((name for name, count in Counter(names).items() if count > 1), None):
        raise UserError(f"{path}: expected a row for every picture, got more than one for {repeated}")


def _attribute_row(path: Path, row: str) -> tuple[str, list[bool]]:
    name, *values = row.split()
    if len(values) != len(NAMES) or not {"1", "-1"}.issuperset(values):
        raise UserError(f"{path}: expected 40 times 1 or -1 for {name}, got {row[len(name) :].strip()!r}")
    return name, [value == "1" for value in values]


def _splits(path: Path) -> dict[str, int]:
    splits, rows = {}, _lines(path)
    for row in rows:
        name, *values = row.split()
        if values not in (["0"], ["1"], ["2"]):
            raise UserError(f"{path}: expected 0, 1 or 2 for {name}, got {row[len(name) :].strip()!r}")
        splits[name] = int(values[0])
    _refuse_repeated(path, [row.split()[0] for row in rows])
    return splits


def _lines(path: Path) -> list[str]:
    try:
        text = read_regular(path, MOST_BYTES).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not a text file") from error
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error
    return [line for line in text.splitlines() if line.strip()]


def _images(root: Path, names: list[str]) -> list[Path]:
    """The pictures of these names; `.png` in place of `.jpg` will do."""
    places = [parent / name for parent in (root / "Img", root) for name in FOLDERS]
    place = next((place for place in places if place.is_dir()), None)
    if place is None:
        raise UserError(f"{places[0]} is missing; expected {LAYOUT}")
    there = {path.stem: path for path in place.iterdir() if path.suffix in (".jpg", ".png")}
    missing = next((name for name in names if Path(name).stem not in there), None)
    if missing:
        raise UserError(f"{place / missing} is missing; expected {len(names):,} pictures there")
    return [there[Path(name).stem] for name in names]
