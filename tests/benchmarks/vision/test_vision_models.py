"""Sizes of the networks as published, what they share, and that width is all that makes them small."""

import itertools
from pathlib import Path

import pytest
import torch
from torch import nn

from mtrl.benchmarks.vision import CelebA, Cityscapes3, NYUv2, scene_tasks
from mtrl.benchmarks.vision.models import (
    AttributeHeads,
    DilatedResNet50,
    PlainCNN,
    PyramidPooling,
    SegNet,
    SmallResNet18,
)
from mtrl.runs.errors import UserError
from mtrl.supervised.benchmark import MultiTaskModel


def size(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def divided(model: MultiTaskModel) -> tuple[int, int]:
    """Parameters that are shared and that are not."""
    shared = sum(p.numel() for p in model.shared_parameters())
    return shared, size(model) - shared


def test_published_sizes() -> None:
    with torch.device("meta"):
        published = {n: scene_tasks.network("mtan_published", *n, width=64) for n in ((7, False), (13, True))}
        # Navon et al.: 41.1M and 44.1M "shared", 0.07M and 0.11M in predictions.
        assert divided(published[7, False]) == (41_132_608, 74_376)
        assert divided(published[13, True]) == (44_117_184, 111_889)
        # Of these 8.95M in 240 tensors are single tasks' own masks.
        own = published[13, True].get_submodule("trunk.own")
        assert (size(own), len(list(own.parameters()))) == (8_953_728, 240)
        assert divided(scene_tasks.network("mtan", 13, True, 64)) == (35_163_456, 8_953_728 + 111_889)
        assert size(SegNet()) == 24_943_296
        assert size(SmallResNet18()) == 11_168_832  # kuangliu's 11,173,962 without its 10 classes
        assert size(DilatedResNet50()) == 25_557_032 - 2_049_000  # torchvision's without its 1,000 classes
        assert SmallResNet18().features(64) == 2048
        assert size(CelebA().model().get_submodule("heads")) == 40 * (2048 * 2 + 2)
        layers = 9 * 64 * (3 + 64 * 2 + 128 * 2 + 128 * 4 + 256 * 4 + 256 * 8 + 512 * 8) + 2 * 512**2
        assert size(PlainCNN()) == layers + 2 * (64 + 2 * 128 + 2 * 256 + 4 * 512)
        pooled, last = 4 * (2048 * 512 + 2 * 512), 9 * 4096 * 512 + 2 * 512 + 512 * 19 + 19
        assert size(PyramidPooling(2048, 512, 19)) == pooled + last


def test_dilation_keeps_an_eighth_of_the_resolution() -> None:
    trunk = DilatedResNet50(width=4).eval()
    assert trunk(torch.rand(1, 3, 64, 96)).shape == (1, 128, 8, 12)
    dilations = [m.dilation[0] for m in trunk.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)]
    assert dilations == [1] * 7 + [1] + [2] * 5 + [2] + [4] * 2


def test_imagenet_weights_are_torchvisions(tmp_path: Path) -> None:
    names = DilatedResNet50(width=4).state_dict()
    assert {"conv1.weight", "layer1.0.downsample.0.weight", "layer4.2.bn3.running_var"} <= names.keys()
    state = {name: torch.full_like(x, 2) for name, x in names.items()} | {"fc.weight": torch.zeros(3)}
    path = tmp_path / "weights.pth"
    torch.save(state, path)
    loaded = Cityscapes3(width=4, weights=str(path)).model()
    assert all(bool((x == 2).all()) for x in loaded.get_submodule("trunk").state_dict().values())
    with pytest.raises(UserError, match=f"{path} does not hold a ResNet-50 of this width"):
        Cityscapes3(width=8, weights=str(path)).model()
    path.write_bytes(b"nothing")
    with pytest.raises(UserError, match=f"{path} does not hold"):
        Cityscapes3(width=4, weights=str(path)).model()
    path.unlink()
    with pytest.raises(UserError, match=f"{path} is missing"):
        Cityscapes3(width=4, weights=str(path)).model()


def test_masks_belong_to_their_tasks() -> None:
    """No task's loss reaches the masks of another, every task's reaches all of what is shared."""
    model = scene_tasks.network("mtan", 13, True, width=4)
    outputs = model.predict(model.represent(torch.rand(2, 3, 32, 32)))
    shared = list(model.shared_parameters())
    for task, output in enumerate(outputs):
        loss = (output * torch.randn_like(output)).sum()
        own = [list(masks.parameters()) for masks in model.get_submodule("trunk.own").children()]
        found = torch.autograd.grad(loss, [*shared, *itertools.chain(*own)], retain_graph=True, allow_unused=True)
        assert all(gradient is not None for gradient in found[: len(shared)])
        rest, each = found[len(shared) :], len(own[0])
        for other in range(3):
            part = rest[other * each : (other + 1) * each]
            assert all((gradient is not None) == (other == task) for gradient in part)


@pytest.mark.parametrize("benchmark", [CelebA(width=2), Cityscapes3(width=2), NYUv2(width=2)])
def test_shared_parameters_are_the_trunks(benchmark: CelebA | Cityscapes3 | NYUv2) -> None:
    model = benchmark.model()
    names = {id(p): name for name, p in model.named_parameters()}
    shared = {names[id(p)] for p in model.shared_parameters()}
    assert shared == {name for name in names.values() if name.startswith("trunk.") and ".own." not in name}


def test_heads_in_one_product_are_linear_layers() -> None:
    heads, features = AttributeHeads(3, 5, 2), torch.randn(4, 5)
    for task in range(3):
        expected = nn.functional.linear(features, heads.weight[task], heads.bias[task])
        torch.testing.assert_close(heads(features)[task], expected)


def test_an_image_does_not_see_the_others() -> None:
    model = scene_tasks.network("mtan", 7, False, width=2).eval()
    images = torch.rand(3, 3, 32, 64)
    changed = images.clone()
    changed[1] = 0
    with torch.no_grad():
        before, after = (model.predict(model.represent(x)) for x in (images, changed))
    for x, y in zip(before, after, strict=True):
        torch.testing.assert_close(x[[0, 2]], y[[0, 2]])
        assert not torch.allclose(x[1], y[1])


def test_normals_have_unit_length() -> None:
    model = scene_tasks.network("segnet", 13, True, width=8)
    normal = model.predict(model.represent(torch.rand(2, 3, 32, 32)))[2]
    torch.testing.assert_close(normal.norm(dim=1), torch.ones(2, 32, 32))
