"""Small made-up folders in the layout and file formats of data that cannot be passed on.

    python -m mtrl.benchmarks.standin nyuv2 DIR [--seed 0] [--count 24] [--size 96]

What is in a picture can be learned from it: rooms and streets are ray-cast, with exact depth, normals and labels, and
with holes; attributes are coloured shapes. The same seed gives the same files. A file STAND-IN.txt says what they are,
and every result made from them says so too.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtrl.benchmarks.vision.celeba_files import NAMES
from mtrl.benchmarks.vision.files import STAND_IN, pillow
from mtrl.benchmarks.vision.scenes import attribute_pictures
from mtrl.benchmarks.vision.scenes.rooms import room
from mtrl.benchmarks.vision.scenes.streets import street
from mtrl.runs.errors import UserError

HELD_OUT = 4
"""A split that is not for training has a quarter of the images."""
FOCAL_LENGTH_PX, BASELINE_M = 2262.5, 0.2093
"""Of Cityscapes' cameras; disparities are in the pixels of full-size pictures, whatever the stand-in's size."""
SEVEN_CLASSES = {
    # Cityscapes' categories: flat, construction, object, nature, sky, human, vehicle
    0: (7, 8),
    1: (11, 12, 13),
    2: (17, 19, 20),
    3: (21, 22),
    4: (23,),
    5: (24, 25),
    6: (26, 27, 28, 31, 32, 33),
}


class Kind(NamedTuple):
    """One data set."""

    write: Callable[[Path, int, int, np.random.Generator], None]
    """Takes the folder, the number of training images, rows of pixels, and a generator."""
    size: int
    """Rows of pixels of the real files; Cityscapes' full-size files have 1024."""


def celeba(folder: Path, count: int, size: int, generator: np.random.Generator) -> None:
    """`Img/img_align_celeba/*.jpg`, `Anno/list_attr_celeba.txt`, `Eval/list_eval_partition.txt`."""
    image, images = pillow(), folder / "Img" / "img_align_celeba"
    images.mkdir(parents=True)
    held_out = max(1, count // HELD_OUT)
    splits = np.repeat((0, 1, 2), (count, held_out, held_out))
    names = [f"{number + 1:06d}.jpg" for number in range(len(splits))]
    attributes = generator.random((len(splits), len(NAMES))) < attribute_pictures.frequencies(generator)
    for name, there in zip(names, attributes, strict=True):
        picture = attribute_pictures.picture(there, (size, max(1, round(size * 178 / 218))), generator)
        image.fromarray(picture).save(images / name, quality=92)
    rows = [
        f"{name} {' '.join(f'{sign:2d}' for sign in 2 * there.astype(int) - 1)}"
        for name, there in zip(names, attributes, strict=True)
    ]
    _write(folder / "Anno" / "list_attr_celeba.txt", [str(len(names)), " ".join(NAMES), *rows])
    pairs = zip(names, splits, strict=True)
    _write(folder / "Eval" / "list_eval_partition.txt", [f"{name} {split}" for name, split in pairs])


def nyuv2(folder: Path, count: int, size: int, generator: np.random.Generator) -> None:
    """`{train,val}/{image,label,depth,normal}/<number>.npy`."""
    for split, number in _numbered(count):
        sample = room((size, size * 4 // 3), generator)
        for kind, values in sample._asdict().items():
            _save(folder / split / kind / f"{number}.npy", values)


def cityscapes2(folder: Path, count: int, size: int, generator: np.random.Generator) -> None:
    """`{train,val}/{image,label_7,depth}/<number>.npy`, depth inverse."""
    for split, number in _numbered(count):
        sample = street((size, 2 * size), generator)
        label = np.full(sample.label.shape, -1)
        for category, ids in SEVEN_CLASSES.items():
            label[np.isin(sample.label, ids)] = category
        for kind, values in {"image": sample.image, "label_7": label, "depth": (1 / sample.depth)[..., None]}.items():
            _save(folder / split / kind / f"{number}.npy", values)


def cityscapes3(folder: Path, count: int, size: int, generator: np.random.Generator) -> None:
    """`leftImg8bit/`, `gtFine/` and `disparity/`, each `{train,val}/<city>/<city>_<sequence>_<frame>_<kind>.png`."""
    image = pillow()
    for split, number in _numbered(count):
        sample = street((size, 2 * size), generator)
        city = f"{split}town{number % 2}"
        disparity = FOCAL_LENGTH_PX * BASELINE_M / sample.depth
        pictures: dict[tuple[str, str], NDArray[np.generic]] = {
            ("leftImg8bit", "leftImg8bit"): np.round(255 * sample.image).astype(np.uint8),
            ("gtFine", "gtFine_labelIds"): sample.label.astype(np.uint8),
            ("gtFine", "gtFine_instanceIds"): sample.instance.astype(np.uint16),
            ("disparity", "disparity"): np.where(disparity > 0, 256 * disparity + 1, 0).astype(np.uint16),
        }
        for (tree, kind), values in pictures.items():
            path = folder / tree / split / city / f"{city}_{number:06d}_000019_{kind}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            image.fromarray(values).save(path)


KINDS = {
    "celeba": Kind(celeba, 218),
    "cityscapes2": Kind(cityscapes2, 128),
    "cityscapes3": Kind(cityscapes3, 256),
    "nyuv2": Kind(nyuv2, 288),
}


def generate(name: str, folder: Path, seed: int = 0, count: int = 24, size: int | None = None) -> None:
    """Writes a stand-in.

    Args:
        name: of the benchmark, a key of `KINDS`.
        folder: new or empty.
        seed: decides every file.
        count: training images; each other split has a quarter as many.
        size: rows of pixels; None for the benchmark's own.

    Raises:
        UserError: the folder holds something, or a number is too small.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is not empty: a stand-in needs a folder of its own")
    kind = KINDS[name]
    size = kind.size if size is None else size
    if count < 1 or size < 8 or seed < 0:
        given = f"count={count}, size={size}, seed={seed}"
        raise UserError(f"a stand-in needs count >= 1, size >= 8 and seed >= 0, got {given}")
    folder.mkdir(parents=True, exist_ok=True)
    # First: a folder that was left half-way says what it is, too.
    text = f"This is a stand-in for {name}, made by `python -m mtrl.benchmarks.standin`; no result from it is real."
    _write(folder / STAND_IN, [text, f"seed {seed}, {count} training images, {size} rows of pixels"])
    kind.write(folder, count, size, np.random.default_rng(seed))


def _numbered(count: int) -> Iterator[tuple[str, int]]:
    """Splits and numbers of images."""
    for split, number in (("train", count), ("val", max(1, count // HELD_OUT))):
        yield from ((split, i) for i in range(number))


def _save(path: Path, values: NDArray[np.generic]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, values.astype(np.float32))


def _write(path: Path, lines: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write a stand-in, and say where."""
    parser = argparse.ArgumentParser(
        prog="python -m mtrl.benchmarks.standin", description="Made-up files in the layout of a data set."
    )
    parser.add_argument("name", choices=sorted(KINDS))
    parser.add_argument("folder", type=Path, metavar="DIR", help="new or empty")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=24, help="training images; other splits have a quarter as many")
    parser.add_argument("--size", type=int, help="rows of pixels; the data set's own by default")
    options = parser.parse_args(arguments)
    try:
        generate(options.name, options.folder, options.seed, options.count, options.size)
    except UserError as error:
        print(f"standin: error: {error}", file=sys.stderr)
        return 2
    print(f"stand-in for {options.name} in {options.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
