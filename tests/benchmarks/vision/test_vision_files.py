"""Loading the real layouts: what is read, and one line with the path for whatever is wrong."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from mtrl.benchmarks.vision import CelebA, Cityscapes2, Cityscapes3, NYUv2, cityscapes_files
from mtrl.benchmarks.vision.celeba_files import read_tables
from mtrl.benchmarks.vision.samples import FileSplit
from mtrl.runs.errors import UserError
from mtrl.supervised.benchmark import Batch

BENCHMARKS: dict[str, CelebA | Cityscapes2 | Cityscapes3 | NYUv2] = {
    "celeba": CelebA(image_size=32),
    "cityscapes2": Cityscapes2(image_height=32, image_width=64),
    "cityscapes3": Cityscapes3(image_height=32, image_width=64, augment=False),
    "nyuv2": NYUv2(image_height=32, image_width=32),
}


@pytest.fixture
def copies(stand_ins: Path, tmp_path: Path) -> Path:
    """Stand-ins to damage."""
    return Path(shutil.copytree(stand_ins, tmp_path / "copies"))


def read_all(name: str, folder: Path) -> list[Batch]:
    data = BENCHMARKS[name].data(folder, 0)
    return [split.batch(torch.arange(len(split)), None) for split in (data.train, data.test)]


def complaint(name: str, folder: Path) -> str:
    with pytest.raises(UserError) as error:
        read_all(name, folder)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_no_folder_and_a_missing_one(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="needs --data DIR with"):
        BENCHMARKS[name].data(None, 0)
    assert str(tmp_path / "no") in complaint(name, tmp_path / "no")
    assert "missing" in complaint(name, tmp_path) or "has no" in complaint(name, tmp_path)


def test_nyuv2_is_what_the_files_say(stand_ins: Path) -> None:
    batch = read_all("nyuv2", stand_ins / "nyuv2")[0]
    rows, columns = ((2 * np.arange(32) + 1) * n // 64 for n in (36, 48))
    folder = stand_ins / "nyuv2" / "train"
    depth = np.load(folder / "depth" / "3.npy")[rows][:, columns, 0]
    np.testing.assert_array_equal(batch.targets.depth[3, 0].numpy(), depth)
    label = np.load(folder / "label" / "3.npy")[rows][:, columns]
    np.testing.assert_array_equal(batch.targets.classes[3].numpy(), label)
    normal = np.load(folder / "normal" / "3.npy")[rows][:, columns].transpose(2, 0, 1)
    np.testing.assert_allclose(batch.targets.normal[3].numpy(), normal, atol=1e-6)
    assert batch.inputs.shape == (8, 3, 32, 32)
    image = torch.from_numpy(np.load(folder / "image" / "3.npy")).permute(2, 0, 1)
    torch.testing.assert_close(batch.inputs[3], functional.adaptive_avg_pool2d(image, (32, 32)))


@pytest.mark.parametrize(
    ("path", "change", "expected"),
    [
        ("depth/1.npy", lambda x: np.where(x > 2, np.nan, x), "depth needs to be in [0, 100], got nan"),
        ("depth/1.npy", lambda x: -x - 1, "depth needs to be in"),
        ("label/0.npy", lambda x: x + 1, "a class needs to be in [-1, 12], got 13"),
        ("label/0.npy", lambda x: x / 3, "a class needs to be a whole number"),
        ("label/0.npy", lambda x: x[1:], "expected numbers of shape 36 x 48, got float32 of shape [35, 48]"),
        ("image/7.npy", lambda x: 255 * x, "a colour needs to be in [0, 1]"),
        ("image/7.npy", lambda x: x[..., :2], "expected numbers of shape any x any x 3"),
        ("normal/2.npy", lambda x: 2 * x, "the length of a normal needs to be in [0, 1.1], got 2"),
        ("normal/2.npy", lambda x: np.where(x == 0, np.inf, x), "the length of a normal"),
        ("depth/1.npy", lambda x: x.astype(str), "expected numbers"),
    ],
)
def test_bad_arrays(path: str, change: Callable[[np.ndarray], np.ndarray], expected: str, copies: Path) -> None:
    file = copies / "nyuv2" / "train" / path
    values = np.load(file)
    values.flat[0] = 12 if "label" in path else values.flat[0]
    np.save(file, change(values))
    text = complaint("nyuv2", copies / "nyuv2")
    assert str(file) in text
    assert expected in text


def test_a_damaged_array(copies: Path) -> None:
    file = copies / "cityscapes2" / "val" / "depth" / "0.npy"
    for content in (file.read_bytes()[:-10], b"not an array", b""):
        file.write_bytes(content)
        assert f"{file} is damaged" in complaint("cityscapes2", copies / "cityscapes2")


def test_a_missing_array(copies: Path) -> None:
    file = copies / "nyuv2" / "train" / "normal" / "7.npy"
    file.unlink()
    assert complaint("nyuv2", copies / "nyuv2") == f"{file} is missing; expected 0.npy to 7.npy"
    shutil.rmtree(file.parent)
    assert str(file.parent) in complaint("nyuv2", copies / "nyuv2")


def test_seven_classes_and_inverse_depth(stand_ins: Path) -> None:
    for batch in read_all("cityscapes2", stand_ins / "cityscapes2"):
        assert set(batch.targets.classes.unique().tolist()) <= set(range(-1, 7))
        assert batch.targets.normal.shape[1] == 0
        depth = batch.targets.depth
        assert 0.05 < float(depth.max()) < 0.5  # two metres or more
        assert bool((depth == 0).any())


def test_celeba_matches_by_name(copies: Path) -> None:
    """Whatever the order of the rows, without a last newline, as PNG, and in one folder."""
    root = copies / "celeba"
    before = read_tables(root)
    listed, partition = root / "Anno" / "list_attr_celeba.txt", root / "Eval" / "list_eval_partition.txt"
    number, names, *rows = listed.read_text().splitlines()
    listed.write_text("\n".join([number, names, *reversed(rows)]))
    partition.write_text(partition.read_text().rstrip("\n"))
    after = read_tables(root)
    assert (after.attributes == before.attributes).all()
    assert len(after.images) == 12
    assert (after.splits == before.splits).all()
    flat = copies / "flat"
    (flat / "img_align_celeba_png").mkdir(parents=True)
    for image in before.images:
        Image.open(image).save(flat / "img_align_celeba_png" / f"{image.stem}.png")
    shutil.copy(listed, flat)
    shutil.copy(partition, flat)
    assert [path.stem for path in read_tables(flat).images] == [path.stem for path in before.images]
    for one, other in zip(read_all("celeba", root), read_all("celeba", flat), strict=True):
        torch.testing.assert_close(one, other)


def test_celeba_labels_are_the_rows(stand_ins: Path) -> None:
    lines = (stand_ins / "celeba" / "Anno" / "list_attr_celeba.txt").read_text().splitlines()
    test = read_all("celeba", stand_ins / "celeba")[1]
    for row, line in zip(test.targets, lines[-2:], strict=True):
        assert row.int().tolist() == [(int(x) + 1) // 2 for x in line.split()[1:]]


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_bad_celeba(copies: Path) -> None:
    root = copies / "celeba"
    listed, partition = root / "Anno" / "list_attr_celeba.txt", root / "Eval" / "list_eval_partition.txt"
    whole, splits = listed.read_text(), partition.read_text()

    def said(path: Path, text: str) -> str:
        before = path.read_text()
        path.write_text(text)
        found = complaint("celeba", root)
        path.write_text(before)
        assert str(path) in found
        return found

    assert "expected 12 rows, as its first line says, got 11" in said(listed, whole[: whole.rindex("000012")])
    assert "expected 40 times 1 or -1 for 000003.jpg" in said(listed, whole.replace("000003.jpg", "000003.jpg 0"))
    assert "names of CelebA's 40 attributes" in said(listed, whole.replace("Bald", "Hairless"))
    assert "names of CelebA's 40 attributes" in said(listed, "")
    assert "expected 0, 1 or 2 for 000001.jpg" in said(partition, splits.replace(".jpg 0", ".jpg 3", 1))
    assert "has no row for 000012.jpg" in said(partition, splits[: splits.rindex("000012")])
    twice = "expected a row for every picture, got more than one for 000001.jpg"
    assert twice in said(partition, splits + "000001.jpg 2\n")
    assert twice in said(listed, whole.replace("000002.jpg", "000001.jpg"))
    assert "names no image of split 2" in said(partition, splits.replace(" 2", " 1"))
    image = root / "Img" / "img_align_celeba" / "000002.jpg"
    content = image.read_bytes()
    for part in (content[: len(content) // 2], b"no picture"):
        image.write_bytes(part)
        assert f"{image} is damaged" in complaint("celeba", root)
    image.unlink()
    assert f"{image} is missing; expected 12 pictures" in complaint("celeba", root)
    partition.unlink()
    assert "list_eval_partition.txt is missing" in complaint("celeba", root)


def test_cityscapes_labels() -> None:
    ids = np.array([[0, 7, 33, 255], [8, 29, 31, 1]], np.uint8)
    assert cityscapes_files.classes(Path("x"), ids).tolist() == [[-1, 0, 18, -1], [1, -1, 16, -1]]
    with pytest.raises(UserError, match="x: a label id needs to be at most 33, got 34"):
        cityscapes_files.classes(Path("x"), ids[:1] + np.uint8(1))


def test_offsets_point_from_the_middle_of_the_instance() -> None:
    ids = np.array([[26_001, 26_001, 7, 26], [26_001, 26_001, 24_000, 7], [7, 7, 24_000, 0]])
    everything = (np.arange(3), np.arange(4))
    found = cityscapes_files.offsets(ids, everything)
    nan = np.nan
    np.testing.assert_array_equal(found[0], [[-0.5, -0.5, nan, nan], [0.5, 0.5, -0.5, nan], [nan, nan, 0.5, nan]])
    np.testing.assert_array_equal(found[1], [[-0.5, 0.5, nan, nan], [-0.5, 0.5, 0, nan], [nan, nan, 0, nan]])
    some = (np.array([1]), np.array([0, 2]))
    np.testing.assert_array_equal(cityscapes_files.offsets(ids, some), found[:, 1:2, [0, 2]])


def test_disparity_below_the_mean_counts(stand_ins: Path) -> None:
    """The published code takes standardised disparities to be missing where they are not positive."""
    train = read_all("cityscapes3", stand_ins / "cityscapes3")[0].targets
    assert bool((train.disparity[train.measured] < 0).any())
    assert abs(float(train.disparity[train.measured].mean())) < 0.02
    assert 0 < int((~train.measured).sum()) < train.measured.numel()
    assert float(train.offsets[train.counted.expand_as(train.offsets)].abs().max()) > 1
    assert float(train.offsets[~train.counted.expand_as(train.offsets)].abs().max()) == 0


def test_held_out_pictures(stand_ins: Path) -> None:
    data = Cityscapes3(image_height=32, image_width=64, held_out=3).data(stand_ins / "cityscapes3", 0)
    assert data.validation is not None
    assert (len(data.train), len(data.validation), len(data.test)) == (5, 3, 2)
    with pytest.raises(UserError, match="held_out needs to be below the 8 pictures"):
        Cityscapes3(held_out=8).data(stand_ins / "cityscapes3", 0)


def test_bad_cityscapes(copies: Path) -> None:
    root = copies / "cityscapes3"
    fine = next((root / "gtFine" / "train").rglob("*_labelIds.png"))
    content = fine.read_bytes()
    fine.write_bytes(content[: len(content) // 2])
    assert f"{fine} is damaged" in complaint("cityscapes3", root)
    Image.new("RGB", (128, 64)).save(fine)
    assert f"{fine}: expected 64 x 128 numbers" in complaint("cityscapes3", root)
    Image.new("L", (128, 32)).save(fine)
    assert f"{fine}: expected 64 x 128 numbers" in complaint("cityscapes3", root)
    fine.unlink()
    assert f"{fine} is missing" in complaint("cityscapes3", root)
    fine.write_bytes(content)
    shutil.rmtree(root / "leftImg8bit" / "val")
    assert str(root / "leftImg8bit" / "val") in complaint("cityscapes3", root)


def test_samples_are_read_once_if_they_fit() -> None:
    reads: list[int] = []

    def read(index: int) -> tuple[np.ndarray, ...]:
        reads.append(index)
        return np.full((2, 3), index, np.uint8), np.array(index, np.int64)

    def make(arrays: object, generator: object) -> Batch:
        return Batch(*arrays)  # type: ignore[misc]

    kept, not_kept = FileSplit(read, 10, make, cache_gib=1.0), FileSplit(read, 10, make, cache_gib=0.0)
    for split, most in ((kept, 4), (not_kept, 100)):
        reads.clear()
        for indices in ([3, 1, 3], [1, 7], [7, 3]):
            batch = split.batch(torch.tensor(indices), None)
            assert batch.targets.tolist() == indices
            assert batch.inputs[:, 0, 0].tolist() == indices
        assert len(reads) <= most
    assert len(reads) > 4
