"""Stand-ins: reproducible, in the real formats, with labels that are geometrically right."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mtrl.benchmarks import standin
from mtrl.benchmarks.vision.scenes.ray_casting import Box, Camera, cast


def digest(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("name", standin.KINDS)
def test_the_seed_decides_every_file(name: str, tmp_path: Path) -> None:
    for folder, seed in (("a", 3), ("b", 3), ("c", 4)):
        standin.generate(name, tmp_path / folder, seed=seed, count=2, size=16)
    a, b, c = (digest(tmp_path / folder) for folder in "abc")
    assert a == b
    assert a.keys() == c.keys()
    same = {path for path in a if a[path] == c[path]}
    assert same == ({"Eval/list_eval_partition.txt"} if name == "celeba" else set())  # no chance in a list of splits
    assert "stand-in" in (tmp_path / "a" / "STAND-IN.txt").read_text()


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["nyuv2", str(tmp_path / "rooms"), "--count", "2", "--size", "12", "--seed", "1"]
    assert standin.main(words) == 0
    assert "stand-in for nyuv2" in capsys.readouterr().out
    assert len(list((tmp_path / "rooms" / "train" / "normal").iterdir())) == 2
    assert standin.main(words) == 2
    assert "is not empty" in capsys.readouterr().err
    assert standin.main(["nyuv2", str(tmp_path / "other"), "--seed", "-1"]) == 2
    assert "seed >= 0, got count=24, size=288, seed=-1" in capsys.readouterr().err


def test_the_formats_are_the_real_ones(stand_ins: Path) -> None:
    lines = (stand_ins / "celeba" / "Anno" / "list_attr_celeba.txt").read_text().splitlines()
    assert (lines[0], len(lines[1].split()), len(lines)) == ("12", 40, 14)
    (city,) = (stand_ins / "cityscapes3" / "gtFine" / "val").glob("valtown0")
    label, instance = (next(city.glob(f"*_gtFine_{kind}.png")) for kind in ("labelIds", "instanceIds"))
    labels, instances = np.asarray(Image.open(label)), np.asarray(Image.open(instance))
    assert (labels.dtype, instances.dtype) == (np.uint8, np.uint16)
    counted = instances >= 1000
    assert (instances[counted] // 1000 == labels[counted]).all()
    disparity = np.asarray(Image.open(next((stand_ins / "cityscapes3" / "disparity").rglob("*.png"))))
    assert disparity.dtype == np.uint16
    assert (disparity == 0).any()
    for kind, shape in {"image": (36, 48, 3), "label": (36, 48), "depth": (36, 48, 1), "normal": (36, 48, 3)}.items():
        assert np.load(stand_ins / "nyuv2" / "train" / kind / "0.npy").shape == shape


def test_a_wall_ahead_by_hand() -> None:
    """Depth along the optical axis, not along the ray; normals towards the viewer, in the camera's axes."""
    wall = Box((0, 0, 5.5), (50, 50, 0.5), 0.0, 0, (1, 1, 1))
    straight = cast(Camera((0, 0, 0), 0.0, 0.0, 1.0), [wall], (6, 8))
    np.testing.assert_allclose(straight.depth, 5, rtol=1e-5)
    np.testing.assert_allclose(straight.camera_normals(), np.tile([0, 0, 1.0], (48, 1)), atol=1e-6)
    # Turned to the right by 0.3: the wall's left side is nearer, and its normal leans to the right.
    turned = cast(Camera((0, 0, 0), 0.3, 0.0, 1.0), [wall], (6, 8))
    depth = turned.depth.reshape(6, 8)
    assert (np.diff(depth, axis=1) > 0).all()
    np.testing.assert_allclose(turned.camera_normals(), np.tile([np.sin(0.3), 0, np.cos(0.3)], (48, 1)), atol=1e-6)


def test_the_floor_by_hand() -> None:
    """A pixel `y` below the horizon sees a floor 1.5 below at depth `1.5 focal / y`; a tilted camera its normal."""
    floor = Box((0, -2.5, 0), (500, 1, 500), 0.0, 0, (1, 1, 1))
    view = cast(Camera((0, 0, 0), 0.0, 0.0, 1.0), [floor], (6, 8))
    depth = view.depth.reshape(6, 8)
    assert np.isinf(depth[:3]).all()
    np.testing.assert_allclose(depth[3:, 0], 1.5 * 8 / np.array([0.5, 1.5, 2.5]), rtol=1e-5)
    down = cast(Camera((0, 0, 0), 0.0, -0.4, 1.0), [floor], (6, 8))
    there = np.isfinite(down.depth)
    expected = np.tile([0, np.cos(0.4), np.sin(0.4)], (there.sum(), 1))
    np.testing.assert_allclose(down.camera_normals()[there], expected, atol=1e-6)


def test_normals_are_those_of_the_depth() -> None:
    """In a room, points of a smooth neighbourhood lie in the plane across the normal."""
    from mtrl.benchmarks.vision.scenes.rooms import room

    sample = room((60, 80), np.random.default_rng(5))
    y, x = np.mgrid[:60, :80]
    rays = np.stack(((x + 0.5 - 40) / 72, (30 - y - 0.5) / 72, -np.ones((60, 80))), -1)  # focal length 0.9 x 80
    points = rays * sample.depth
    same = (sample.normal[:, 1:] == sample.normal[:, :-1]).all(-1) & (sample.depth[:, 1:, 0] > 0)
    steps = points[:, 1:] - points[:, :-1]
    off = np.abs((steps * sample.normal[:, 1:]).sum(-1)) / np.linalg.norm(steps, axis=-1).clip(1e-6)
    assert same.mean() > 0.7
    assert np.median(off[same]) < 1e-4
    assert (off[same] < 0.01).mean() > 0.97  # two pieces of furniture may stand parallel
