"""MultiMNIST (Sener and Koltun 2018, section 5.1), its Fashion-MNIST twin and the mixed pair.

Axes: `B` batch, `T` tasks.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from mtrl.benchmarks.multimnist.images import Source, bundled_images, user_images
from mtrl.benchmarks.multimnist.lenet import LeNet
from mtrl.benchmarks.multimnist.pairs import Size, make_pairs
from mtrl.runs.errors import UserError
from mtrl.runs.section import NonNegative, Section, Seed
from mtrl.supervised.benchmark import Batch, Data, Metric, Split

TASKS = ("top_left", "bottom_right")
BUNDLED_PAIRS_PER_IMAGE = 10
"""So few images make more pairs each, or an epoch would be six steps."""
_CORNERS: dict[str, tuple[Source, Source]] = {
    "mnist": ("mnist", "mnist"),
    "fashion_mnist": ("fashion_mnist", "fashion_mnist"),
    "mixed": ("fashion_mnist", "mnist"),
}


class AccuracyMeter:
    """A `Meter`: per cent of right classes per task, over all examples.

    Args:
        names: of the metrics, one per task.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._right = torch.zeros(len(names), dtype=torch.int64)
        self._seen = 0

    def update(self, outputs: Sequence[Tensor], batch: Batch) -> None:
        """Logits `[B, classes]` of each task, and targets `[B, T]`."""
        found = torch.stack([logits.argmax(-1) for logits in outputs], -1)
        self._right += (found == batch.targets).sum(0).cpu()
        self._seen += len(found)

    def result(self) -> dict[str, float]:
        return {name: 100 * int(n) / self._seen for name, n in zip(self._names, self._right, strict=True)}


class MultiMNIST(Section):
    """Two digits laid over each other, a LeNet; metric: accuracy. Data: the four idx .gz files of MNIST or
    Fashion-MNIST; without `data`, scikit-learn's bundled digits.
    """

    name: Literal["multimnist"] = "multimnist"
    """Of the benchmark."""
    images: Literal["mnist", "fashion_mnist", "mixed"] = "mnist"
    """What is paired; `mixed`: Fashion-MNIST top left, MNIST bottom right, from folders `fashion_mnist` and `mnist`."""
    size: Size = 28
    """Side of the pictures: 36 as they are laid over each other, or 28 by the nearest pixel, as in the paper's code."""
    pairs_per_image: Annotated[int, Field(gt=0, le=100)] = 1
    """Pictures that each image is top left in (2 in the variant of later papers)."""
    pair_seed: Seed = 0
    """Decides the pairs, which are the same for all seeds."""
    validation_pairs: NonNegative = 0
    """The last so many training pairs are held out; the paper has no validation split. Many of their single images are
    in training pairs, too (of MNIST's last 10,000 pairs 57% top left and 93% bottom right; of the bundled digits all),
    so that they are no new images."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Probability, of channels in the trunk and of units in the heads."""

    @property
    def tasks(self) -> tuple[str, ...]:
        return TASKS

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return tuple(Metric(f"{task}_accuracy", task, higher_is_better=True, unit="%") for task in TASKS)

    @property
    def published_single_task(self) -> Mapping[str, float] | None:
        papers = MultiMNIST(pair_seed=self.pair_seed)
        return {"top_left_accuracy": 97.23, "bottom_right_accuracy": 95.90} if self == papers else None  # table 3

    def data(self, folder: Path | None, seed: int) -> Data:
        """See `Benchmark`; the pairs do not depend on the seed."""
        if folder is None and self.images != "mnist":
            raise UserError(f"benchmark.images {self.images} needs the idx files: --data names their folder")
        first, second = _CORNERS[self.images]
        corners = [bundled_images() if folder is None else user_images(folder, source) for source in (first, second)]
        per_image = self.pairs_per_image * (BUNDLED_PAIRS_PER_IMAGE if folder is None else 1)
        (train_1, test_1, title), (train_2, test_2, other_title) = corners
        generator = torch.Generator().manual_seed(self.pair_seed)
        train = make_pairs(train_1, train_2, per_image, self.size, generator)
        test = make_pairs(test_1, test_2, per_image, self.size, generator)
        if self.validation_pairs >= len(train):
            raise UserError(f"benchmark.validation_pairs must be below {len(train):,}, got {self.validation_pairs:,}")
        train, held_out = train.cut(len(train) - self.validation_pairs)
        source = title if title == other_title else f"{title} over {other_title}"
        return Data(train, held_out if len(held_out) else None, test, f"pairs of {source}", title == "MNIST")

    def model(self) -> LeNet:
        return LeNet(self.size, len(TASKS), self.dropout)

    def losses(self, outputs: Sequence[Tensor], batch: Batch) -> list[Tensor]:
        """Negative log-likelihood of each corner's class."""
        return [
            nn.functional.cross_entropy(logits, labels)
            for logits, labels in zip(outputs, batch.targets.unbind(-1), strict=True)
        ]

    def meter(self, split: Split) -> AccuracyMeter:
        return AccuracyMeter([metric.name for metric in self.metrics])
