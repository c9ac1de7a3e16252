"""Losses: by hand on a few pixels, without labels, and the published form where nothing is wrong with it."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from mtrl.benchmarks.vision.losses import absolute_loss, has_value, normal_loss, segmentation_loss


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_unlabelled_pixels_count_nowhere() -> None:
    logits, classes = random(2, 5, 3, 4), torch.arange(24).view(2, 3, 4) % 6 - 1
    expected = functional.nll_loss(logits.log_softmax(1), classes, ignore_index=-1)
    torch.testing.assert_close(segmentation_loss(logits, classes), expected)
    changed = torch.where((classes == -1)[:, None], 7.0, logits)
    torch.testing.assert_close(segmentation_loss(changed, classes), expected)


def test_depth_by_hand() -> None:
    target = torch.tensor([[[[1.0, 0.0], [3.0, 4.0]]]])
    prediction = torch.tensor([[[[1.5, 9.0], [2.0, 4.0]]]])
    assert float(absolute_loss(prediction, target, has_value(target))) == 0.5  # (0.5 + 1 + 0) / 3
    # Offsets: a mean over both components of the pixels that have one.
    offsets, valid = torch.tensor([[[[3.0, 5.0]], [[-1.0, 5.0]]]]), torch.tensor([[[[True, False]]]])
    assert float(absolute_loss(torch.zeros(1, 2, 1, 2), offsets, valid)) == 2.0


def test_normals_that_sum_to_zero_are_normals() -> None:
    half = math.sqrt(0.5)
    target = torch.tensor([half, -half, 0.0]).view(1, 3, 1, 1)
    assert bool(has_value(target).all())
    assert float(normal_loss(-target, target)) == pytest.approx(2.0)
    assert float(normal_loss(target, target)) == pytest.approx(0.0, abs=1e-6)


def test_normals_as_published() -> None:
    target = functional.normalize(random(2, 3, 4, 5), dim=1)
    target[:, :, :2] = 0
    prediction = functional.normalize(random(2, 3, 4, 5, seed=1), dim=1)
    expected = 1 - (prediction * target).sum() / (target.norm(dim=1) > 0).sum()
    torch.testing.assert_close(normal_loss(prediction, target), expected)


def test_without_any_label_a_loss_is_zero_and_has_a_gradient() -> None:
    x = random(1, 3, 2, 2).requires_grad_()
    nothing = torch.zeros(1, 3, 2, 2)
    losses = [
        segmentation_loss(x, torch.full((1, 2, 2), -1)),
        absolute_loss(x, nothing, has_value(nothing)),
        normal_loss(x, nothing),
    ]
    for loss in losses:
        assert float(loss.detach()) == 0
        assert torch.autograd.grad(loss, x)[0].abs().sum() == 0
