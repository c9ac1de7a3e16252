"""Metrics pooled over the pixels of a whole split, so that they do not depend on how it is divided into batches.

The published code averages depth and normal errors over batches, the last and smaller one counting as much, and takes
the mean of the batches' medians. Axes: `B` batch, `K` classes, `T` tasks, `H` rows and `W` columns of pixels.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from mtrl.benchmarks.vision.losses import IGNORED, has_value
from mtrl.runs.errors import UserError

THRESHOLDS = (11.25, 22.5, 30.0)
"""Degrees."""


class Segmentation:
    """Confusion matrix of pixels."""

    def __init__(self, classes: int) -> None:
        self.counts = torch.zeros(classes, classes, dtype=torch.int64)

    def update(self, logits: Tensor, classes: Tensor) -> None:
        """Counts a batch.

        Args:
            logits: `[B, K, H, W]`.
            classes: int64 `[B, H, W]`, `IGNORED` where there is none.
        """
        number = len(self.counts)
        labelled = classes != IGNORED
        cells = number * classes[labelled] + logits.argmax(1)[labelled]
        self.counts += torch.bincount(cells, minlength=number**2).view(number, number).cpu()

    def mean_iou(self) -> float:
        """Intersection over union, a mean over the classes that are there or are predicted, in %."""
        hits, union = self.counts.diagonal(), self.counts.sum(0) + self.counts.sum(1) - self.counts.diagonal()
        there = union > 0
        return float(100 * (hits[there] / union[there]).double().mean()) if bool(there.any()) else 0.0

    def pixel_accuracy(self) -> float:
        """Share of the labelled pixels that are right, in %."""
        return 100 * _ratio(float(self.counts.diagonal().sum()), float(self.counts.sum()))


class AbsoluteError:
    """Mean absolute and mean relative error over valid pixels."""

    def __init__(self) -> None:
        self.absolute, self.relative, self.values = 0.0, 0.0, 0

    def update(self, prediction: Tensor, target: Tensor, valid: Tensor) -> None:
        """Counts a batch.

        Args:
            prediction: `[B, C, H, W]`.
            target: `[B, C, H, W]`.
            valid: bool `[B, 1, H, W]`.
        """
        valid = valid.expand_as(target)
        errors, sizes = (prediction - target)[valid].double().abs(), target[valid].double().abs()
        self.absolute += float(errors.sum())
        self.relative += float((errors / sizes).sum())
        self.values += len(errors)

    def mean(self) -> float:
        """The mean error, in the units of the target."""
        return _ratio(self.absolute, self.values)

    def mean_relative(self) -> float:
        """The mean error as a share of the target; infinite if a valid target is zero."""
        return _ratio(self.relative, self.values)


class Angles:
    """Angles between predicted and true normals, in degrees."""

    def __init__(self) -> None:
        self.batches: list[Tensor] = []

    def update(self, prediction: Tensor, target: Tensor) -> None:
        """Keeps the angles of a batch, on the CPU: 4 bytes a pixel.

        Args:
            prediction: of unit length, `[B, 3, H, W]`.
            target: of unit length, `[B, 3, H, W]`; zero where there is none.
        """
        valid = has_value(target)[:, 0]
        # Kahan's formula: exact for small angles, where the arc cosine of float32 has errors of 0.02 degrees.
        angles = 2 * torch.atan2((prediction - target).norm(dim=1), (prediction + target).norm(dim=1))
        self.batches.append(torch.rad2deg(angles[valid]).float().cpu())

    def result(self) -> tuple[float, float, list[float]]:
        """Mean, median over all pixels, and the share of angles below each of `THRESHOLDS` in %."""
        angles = torch.cat(self.batches)
        if len(angles) == 0:
            return 0.0, 0.0, [100.0] * len(THRESHOLDS)
        middle = (len(angles) + 1) // 2
        low = float(angles.kthvalue(middle).values)
        high = low if len(angles) % 2 else float(angles.kthvalue(middle + 1).values)
        shares = [100 * float((angles < t).double().mean()) for t in THRESHOLDS]
        return float(angles.double().mean()), (low + high) / 2, shares


class Attributes:
    """Errors and F1 of yes-no tasks."""

    def __init__(self, tasks: int) -> None:
        self.true_positive = torch.zeros(tasks, dtype=torch.int64)
        self.false_positive = torch.zeros(tasks, dtype=torch.int64)
        self.false_negative = torch.zeros(tasks, dtype=torch.int64)
        self.images = 0

    def update(self, predicted: Tensor, true: Tensor) -> None:
        """Counts a batch; both bool, `[T, B]`."""
        self.true_positive += (predicted & true).sum(1).cpu()
        self.false_positive += (predicted & ~true).sum(1).cpu()
        self.false_negative += (~predicted & true).sum(1).cpu()
        self.images += true.shape[1]

    def errors(self) -> list[float]:
        """Share of wrong answers per task, in %."""
        wrong = self.false_positive + self.false_negative
        return (100 * wrong.double() / max(self.images, 1)).tolist()

    def f1(self) -> list[float]:
        """F1 of each task, in %; 100 if nobody has the attribute and none is predicted (the published code has 0)."""
        wrong = self.false_positive + self.false_negative
        twice = 2 * self.true_positive
        return torch.where(twice + wrong > 0, 100 * twice.double() / (twice + wrong).clamp(min=1), 100.0).tolist()


def require_labels(pixels: Mapping[str, int]) -> None:
    """Refuses metrics of nothing, which would say that all is right.

    Args:
        pixels: with a label, by task.

    Raises:
        UserError: a task has none.
    """
    for task, number in pixels.items():
        if number == 0:
            raise UserError(f"metrics of {task} need a pixel with a label in the split that is measured, got none")


def _ratio(total: float, count: float) -> float:
    return total / count if count else 0.0
