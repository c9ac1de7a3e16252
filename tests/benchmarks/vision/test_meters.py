"""Metrics against hand-made cases and scikit-learn; whatever the batches, over all pixels, zero for perfect answers."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score, jaccard_score
from torch import Tensor
from torch.nn import functional

from mtrl.benchmarks.vision import CelebA, Cityscapes2, NYUv2, cityscapes3
from mtrl.benchmarks.vision.losses import has_value
from mtrl.benchmarks.vision.meters import AbsoluteError, Angles, Attributes, Segmentation
from mtrl.benchmarks.vision.scene_tasks import SceneMeter, Targets
from mtrl.runs.errors import UserError
from mtrl.supervised.benchmark import Batch

CLASSES = 5


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def segmentation(logits: Tensor, classes: Tensor, batch: int) -> Segmentation:
    meter = Segmentation(CLASSES)
    for some, others in zip(logits.split(batch), classes.split(batch), strict=True):
        meter.update(some, others)
    return meter


def random_scene() -> tuple[Tensor, Tensor]:
    logits = torch.randn(7, CLASSES, 6, 5, generator=generator())
    return logits, torch.randint(-1, CLASSES - 1, (7, 6, 5), generator=generator(1))  # the last class is absent


@pytest.mark.parametrize("batch", [1, 3, 7])
def test_segmentation_is_scikit_learns_on_all_pixels(batch: int) -> None:
    logits, classes = random_scene()
    logits[:, CLASSES - 1] = -100  # and never predicted
    meter = segmentation(logits, classes, batch)
    seen = (classes >= 0).flatten().numpy()
    true, predicted = classes.flatten().numpy()[seen], logits.argmax(1).flatten().numpy()[seen]
    assert meter.pixel_accuracy() == pytest.approx(100 * accuracy_score(true, predicted))
    present = range(CLASSES - 1)
    assert meter.mean_iou() == pytest.approx(100 * jaccard_score(true, predicted, labels=present, average="macro"))


def test_a_class_that_is_only_predicted_counts_as_zero() -> None:
    logits, classes = random_scene()
    true, predicted = classes.flatten().numpy(), logits.argmax(1).flatten().numpy()
    expected = jaccard_score(true[true >= 0], predicted[true >= 0], labels=range(CLASSES), average="macro")
    assert segmentation(logits, classes, 2).mean_iou() == pytest.approx(100 * expected)


def test_nothing_labelled_is_a_number() -> None:
    meter = segmentation(torch.zeros(1, CLASSES, 2, 2), torch.full((1, 2, 2), -1), 1)
    assert (meter.mean_iou(), meter.pixel_accuracy()) == (0, 0)
    error, angles = AbsoluteError(), Angles()
    error.update(torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2, 2, dtype=torch.bool))
    angles.update(torch.ones(1, 3, 2, 2), torch.zeros(1, 3, 2, 2))
    assert (error.mean(), error.mean_relative()) == (0, 0)
    assert angles.result()[:2] == (0, 0)


def test_depth_by_hand_and_pooled() -> None:
    target = torch.tensor([2.0, 4.0, 0.0, 1.0]).view(4, 1, 1, 1)
    prediction = torch.tensor([3.0, 4.0, 7.0, 1.75]).view(4, 1, 1, 1)
    for batch in (1, 3, 4):  # for batches of 3 the means of the batches' means would be 0.625 and 0.5
        meter = AbsoluteError()
        for some, others in zip(prediction.split(batch), target.split(batch), strict=True):
            meter.update(some, others, has_value(others))
        assert meter.mean() == pytest.approx((1 + 0 + 0.75) / 3)
        assert meter.mean_relative() == pytest.approx((0.5 + 0 + 0.75) / 3)


def turned(degrees: list[float]) -> tuple[Tensor, Tensor]:
    """Normals, and predictions that are this far off; `[N, 3, 1, 1]`."""
    angle = torch.deg2rad(torch.tensor(degrees, dtype=torch.float64)).float()
    prediction = torch.stack((angle.sin(), torch.zeros_like(angle), angle.cos()), 1)
    return torch.tensor([0.0, 0.0, 1.0]).expand(len(degrees), 3)[:, :, None, None], prediction[:, :, None, None]


def test_the_median_is_of_all_pixels() -> None:
    target, prediction = turned([1, 2, 3, 40, 60, 90, 20])
    for batch in (1, 2, 7):  # medians of batches of two, averaged, would be 27
        meter = Angles()
        for some, others in zip(prediction.split(batch), target.split(batch), strict=True):
            meter.update(some, others)
        mean, median, shares = meter.result()
        assert mean == pytest.approx(216 / 7, rel=1e-5)
        assert median == pytest.approx(20, rel=1e-5)
        assert shares == pytest.approx([300 / 7, 400 / 7, 400 / 7])
    even = Angles()
    even.update(prediction[:4], target[:4])
    assert even.result()[1] == pytest.approx(np.median([1, 2, 3, 40]), rel=1e-5)


def test_small_angles_are_exact() -> None:
    target, prediction = turned([0.001])
    meter = Angles()
    meter.update(prediction, target)
    assert meter.result()[0] == pytest.approx(0.001, rel=1e-3)  # an arc cosine of float32 would say 0 or 0.02


def test_normals_that_sum_to_zero_are_counted() -> None:
    half = math.sqrt(0.5)
    meter = Angles()
    target = torch.tensor([half, -half, 0.0]).view(1, 3, 1, 1)
    meter.update(-target, target)
    assert meter.result()[0] == pytest.approx(180)


def test_attributes_are_scikit_learns() -> None:
    predicted = torch.rand(3, 50, generator=generator()) < 0.4
    true = torch.rand(3, 50, generator=generator(1)) < 0.3
    predicted[2], true[2] = False, False
    meter = Attributes(3)
    for some, others in zip(predicted.split(20, 1), true.split(20, 1), strict=True):
        meter.update(some, others)
    for task in range(2):
        assert meter.f1()[task] == pytest.approx(100 * f1_score(true[task], predicted[task]))
    wrong = [100 * (1 - accuracy_score(t, p)) for t, p in zip(true, predicted, strict=True)]
    assert meter.errors() == pytest.approx(wrong)
    assert meter.f1()[2] == 100


def targets(normals: bool) -> Targets:
    depth = torch.rand(3, 1, 4, 5, generator=generator()) + 0.1
    depth[0, 0, 0] = 0
    normal = functional.normalize(torch.randn(3, 3, 4, 5, generator=generator(1)), dim=1)
    normal[1, :, 2] = 0
    return Targets(torch.randint(-1, 7, (3, 4, 5), generator=generator(2)), depth, normal if normals else normal[:, :0])


@pytest.mark.parametrize(("benchmark", "normals"), [(NYUv2(), True), (Cityscapes2(), False)])
def test_perfect_predictions_have_no_error(benchmark: NYUv2 | Cityscapes2, normals: bool) -> None:
    truth = targets(normals)
    logits = functional.one_hot(truth.classes.clamp(min=0), 13 if normals else 7).permute(0, 3, 1, 2).float()
    outputs = [logits, truth.depth, truth.normal][: 2 + normals]
    meter = benchmark.meter(None)  # type: ignore[arg-type]
    meter.update(outputs, Batch(None, truth))
    best = {metric.name: 100.0 if metric.higher_is_better else 0.0 for metric in benchmark.metrics}
    assert meter.result() == best


def test_perfect_predictions_have_no_error_with_instances() -> None:
    classes = torch.randint(-1, 19, (2, 4, 5), generator=generator())
    counted = torch.rand(2, 1, 4, 5, generator=generator(1)) < 0.5
    disparity = torch.randn(2, 1, 4, 5, generator=generator(2))
    offsets = 100 * torch.randn(2, 2, 4, 5, generator=generator(3)) * counted
    truth = cityscapes3.Targets(classes, offsets, counted, disparity, disparity != 0)
    logits = functional.one_hot(classes.clamp(min=0), 19).permute(0, 3, 1, 2).float()
    meter = cityscapes3.Cityscapes3().meter(None)  # type: ignore[arg-type]
    meter.update([logits, offsets, disparity], Batch(None, truth))
    assert meter.result() == {"mean_iou": 100, "instance_error": 0, "disparity_error": 0}
    # One pixel of offset in one of two directions is half a pixel; a deviation is 2729.068 / 256 pixels of disparity.
    off = cityscapes3.Cityscapes3().meter(None)  # type: ignore[arg-type]
    off.update([logits, offsets + torch.tensor([1.0, 0.0]).view(1, 2, 1, 1), disparity - 1], Batch(None, truth))
    assert off.result() == pytest.approx(
        {"mean_iou": 100, "instance_error": 0.5, "disparity_error": 10.66042}, rel=1e-5
    )


@pytest.mark.parametrize("benchmark", [CelebA(), CelebA(network="plain_cnn", score="f1")])
def test_an_attribute_that_is_always_wrong_is_one_among_perfect_ones(benchmark: CelebA) -> None:
    true, wrong = torch.rand(9, 40, generator=generator()) < 0.5, torch.arange(40) == 3
    log_odds = 100 * torch.where(true ^ wrong, 1.0, -1.0).mT
    outputs = log_odds[..., None] if benchmark.network == "plain_cnn" else torch.stack((-log_odds, log_odds), -1)
    meter, batch = benchmark.meter(None), Batch(None, true)  # type: ignore[arg-type]
    meter.update(outputs, batch)
    best, worst = (100, 0) if benchmark.score == "f1" else (0, 100)
    assert [*meter.result()] == [metric.name for metric in benchmark.metrics]
    assert [*meter.result().values()] == [worst if task == 3 else best for task in range(40)]
    assert [float(loss) > 1 for loss in benchmark.losses(outputs, batch)] == wrong.tolist()


@pytest.mark.parametrize("task", ["segmentation", "depth", "normal"])
def test_a_task_without_labels_has_no_metrics(task: str) -> None:
    """Its errors would be zero, as if all were right."""
    truth, place = targets(normals=True), ("segmentation", "depth", "normal").index(task)
    meter: SceneMeter = NYUv2().meter(None)  # type: ignore[arg-type]
    none = truth[place] * 0 - int(task == "segmentation")
    outputs = [torch.zeros(3, 13, 4, 5), truth.depth, truth.normal]
    meter.update(outputs, Batch(None, Targets(*(none if i == place else part for i, part in enumerate(truth)))))
    with pytest.raises(UserError, match=rf"^metrics of {task} need a pixel with a label"):
        meter.result()


def test_streets_without_instances_have_no_error_of_them() -> None:
    zero, here = torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2, dtype=torch.bool)
    truth = cityscapes3.Targets(zero[0].long(), zero.expand(1, 2, 2, 2), ~here, zero, here)
    meter = cityscapes3.Cityscapes3().meter(None)  # type: ignore[arg-type]
    meter.update([torch.zeros(1, 19, 2, 2), zero.expand(1, 2, 2, 2), zero], Batch(None, truth))
    with pytest.raises(UserError, match=r"^metrics of instance need a pixel with a label"):
        meter.result()


def test_every_evaluation_begins_with_empty_counts() -> None:
    meter: SceneMeter = Cityscapes2().meter(None)  # type: ignore[arg-type]
    meter.update([torch.zeros(3, 7, 4, 5), torch.ones(3, 1, 4, 5)], Batch(None, targets(False)))
    fresh = Cityscapes2().meter(None)  # type: ignore[arg-type]
    assert int(fresh.segmentation.counts.sum()) == 0
    assert fresh.depth.values == 0
