"""Augmentation of a batch is that of its images one by one, and keeps what is seen and what is said of it together."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from mtrl.benchmarks.vision import Cityscapes2, NYUv2, cityscapes3
from mtrl.benchmarks.vision.augmentation import draw_angles, draw_crops, draw_flips
from mtrl.benchmarks.vision.scene_tasks import maker

SIZE = (48, 64)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random(channels: int, batch: int = 6) -> Tensor:
    return torch.rand(batch, channels, *SIZE, generator=generator(1))


def test_crops_are_the_published_ones() -> None:
    """CAGrad's code crops and interpolates image by image."""
    images, crops = random(3), draw_crops(6, SIZE, generator())
    assert set(crops.scale.tolist()) == {1.0, 1.2, 1.5}
    smooth, nearest = crops.bilinear(images), crops.nearest(images)
    for i in range(6):
        height, width = int(SIZE[0] / float(crops.scale[i])), int(SIZE[1] / float(crops.scale[i]))
        top, left = int(crops.top[i]), int(crops.left[i])
        assert top + height <= SIZE[0]
        assert left + width <= SIZE[1]
        crop = images[i : i + 1, :, top : top + height, left : left + width]
        expected = functional.interpolate(crop, SIZE, mode="bilinear", align_corners=True)
        torch.testing.assert_close(smooth[i : i + 1], expected, atol=1e-4, rtol=0)
        assert (nearest[i : i + 1] == functional.interpolate(crop, SIZE, mode="nearest")).all()


def test_every_crop_fits_also_where_the_division_is_exact() -> None:
    crops = draw_crops(500, (288, 384), generator())
    rows, columns = crops._inside()
    assert set(zip(rows.tolist(), columns.tolist(), strict=True)) == {(288, 384), (240, 320), (192, 256)}
    assert int((crops.top + rows).max()) == 288  # the last place is drawn as well
    assert int((crops.left + columns).max()) == 384


def test_an_image_does_not_see_the_others() -> None:
    images, crops = random(3), draw_crops(6, SIZE, generator())
    changed = images.clone()
    changed[2] = 0
    same = torch.arange(6) != 2
    assert (crops.bilinear(changed)[same] == crops.bilinear(images)[same]).all()
    assert (crops.nearest(changed)[same] == crops.nearest(images)[same]).all()


def arrays() -> list[Tensor]:
    """A wall that is seen at an angle, depth 2, with a hole."""
    normal = torch.tensor([0.6, 0.0, 0.8]).view(1, 3, 1, 1).repeat(8, 1, *SIZE)
    depth = torch.full((8, 1, *SIZE), 2.0)
    normal[:, :, :10], depth[:, :, :10] = 0, 0
    return [random(3, 8), torch.zeros(8, *SIZE, dtype=torch.int8), depth, normal]


@pytest.mark.parametrize(
    ("benchmark", "is_divided"), [(NYUv2(), True), (Cityscapes2(), False), (Cityscapes2(published_zoom=True), True)]
)
def test_enlarged_is_nearer(benchmark: NYUv2 | Cityscapes2, is_divided: bool) -> None:
    """Cityscapes' depth is inverse; the published code divides it nevertheless."""
    batch = maker(True, benchmark.depth_of_zoom)(arrays(), generator())
    values = batch.targets.depth.unique()
    expected = torch.tensor([2 / 1.5, 2 / 1.2, 2.0] if is_divided else [2.0, 2.4, 3.0])
    torch.testing.assert_close(values[values > 0], expected)


def test_normals_keep_their_length_and_mirror() -> None:
    batch = maker(True, lambda zoom: zoom)(arrays(), generator())
    normal, length = batch.targets.normal, batch.targets.normal.norm(dim=1)
    torch.testing.assert_close(length[length > 0], torch.ones(int((length > 0).sum())))
    assert 0 < int((length == 0).sum()) < length.numel() / 2
    wall = normal.permute(0, 2, 3, 1)[length > 0]
    torch.testing.assert_close(wall[:, 0].abs(), torch.full((len(wall),), 0.6))
    torch.testing.assert_close(wall[:, 2], torch.full((len(wall),), 0.8))
    per_image = torch.stack([x[0][x.norm(dim=0) > 0].mean() for x in normal])
    assert set(per_image.sign().tolist()) == {-1.0, 1.0}  # some are mirrored, some are not


@pytest.mark.parametrize(("augment", "draws"), [(True, None), (False, generator())])
def test_without_a_generator_or_augmentation_nothing_changes(augment: bool, draws: torch.Generator | None) -> None:
    given = arrays()
    batch = maker(augment, lambda zoom: zoom)(given, draws)
    assert batch.inputs is given[0]
    assert batch.targets.depth is given[2]


def test_the_generator_decides() -> None:
    make = maker(True, lambda zoom: zoom)
    first, again, other = (make(arrays(), generator(seed)).inputs for seed in (3, 3, 4))
    assert (first == again).all()
    assert not (first == other).all()


def disc_offsets(disc: Tensor) -> Tensor:
    """`(y, x)` from the disc's middle, `[2, H, W]`."""
    y, x = torch.meshgrid(torch.arange(SIZE[0]), torch.arange(SIZE[1]), indexing="ij")
    return torch.stack([(grid - grid[disc].double().mean()).float() for grid in (y, x)])


def test_offsets_turn_and_mirror_with_their_instance() -> None:
    """Turned offsets are those of the turned instance, up to a pixel of rounding; at the sides nothing is known."""
    y, x = torch.meshgrid(torch.arange(SIZE[0]), torch.arange(SIZE[1]), indexing="ij")
    disc = ((y - 20) ** 2 + ((x - 25) / 1.5) ** 2) < 80
    known = torch.cat((disc_offsets(disc), torch.full((1, *SIZE), 2.0))).where(disc, torch.nan)
    maps = torch.cat((disc[None].float(), known))[None].repeat(6, 1, 1, 1)
    angles, mirrored = draw_angles(6, 30, generator()), draw_flips(6, generator())
    assert 0 < int(mirrored.sum()) < 6
    found = cityscapes3._augmented(maps, angles, mirrored)
    assert found[:, 0].unique().tolist() == [-1, 0, 1]
    for classes, *offsets, disparity in found:
        there = classes == 1
        assert float((torch.stack(offsets) - disc_offsets(there))[:, there].abs().max()) < 1.1
        for x in (*offsets, disparity):
            assert torch.equal(~x.isnan(), there)
        assert (disparity[there] == 2).all()
