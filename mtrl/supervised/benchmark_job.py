"""Training on a benchmark: batches, one model for all tasks or one for each, metrics after each epoch.

Axes: `T` tasks, `B` batch.
"""

import copy
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mtrl.nested import map_leaves
from mtrl.runs.errors import UserError
from mtrl.runs.events import Evaluation, Logged, Subject, Train
from mtrl.runs.loading import copy_checked
from mtrl.runs.method_trial import try_method
from mtrl.runs.reading import SINGLE_TASK
from mtrl.supervised.benchmark import Benchmark, Data, Metric, MultiTaskModel, Split
from mtrl.supervised.benchmark_learner import BenchmarkLearner, Measured
from mtrl.supervised.run_config import SupervisedRunConfig
from mtrl.supervised.selection import Selection
from mtrl.supervised.streams import AUGMENTATION, DROPOUT, ORDER, generator, seed_of

_SAME = 1e-4
"""Sums that differ by less, relatively, differ by the machine."""


class BenchmarkJob:
    """A `Job`.

    Raises:
        UserError: the method does not fit the tasks; the data cannot be read, or lack a split that is asked for, or
            leave a batch of one to a network that needs two; a state that is loaded was trained on other data.
    """

    def __init__(self, config: SupervisedRunConfig, benchmark: Benchmark, seed: int, device: torch.device) -> None:
        self.config, self.benchmark, self.seed, self.device = config, benchmark, seed, device
        self.folder = None if config.data is None else Path(config.data).expanduser()
        self.data: Data = benchmark.data(self.folder, seed)
        self._check()
        self._sums = self._sampled()
        everything = range(len(benchmark.tasks))
        groups = [[task] for task in everything] if config.method.name == SINGLE_TASK else [[*everything]]
        if config.method.name != SINGLE_TASK:
            try_method(config.method, len(everything))
        self.learners = [BenchmarkLearner(config, benchmark, tasks, device, seed) for tasks in groups]
        self._check_batches_of_one()
        reference = benchmark.published_single_task if self.data.is_full else None
        self.selections = [Selection(config.evaluation, self._metrics(learner), reference) for learner in self.learners]
        self.steps_per_epoch = -(-len(self.data.train) // config.batch_size)
        self.stopped = False
        self.losses, self.weights = self._zeros(), self._zeros()
        self.measured: list[Measured] = []
        self._drawn: tuple[int, Tensor] | None = None

    def description(self) -> Subject:
        return {"benchmark": self.benchmark.name, "tasks": list(self.benchmark.tasks), "data": self._described_data()}

    def step(self, epoch: int, index: int) -> None:
        start = index * self.config.batch_size
        indices = self._order(epoch)[start : start + self.config.batch_size]
        batch = self.data.train.batch(indices, generator(self.seed, AUGMENTATION, epoch, index)).to(self.device)
        first = self.config.log_gradients and index == 0
        seed = seed_of(self.seed, DROPOUT, epoch, index)
        taken = [learner.step(batch, first, seed) for learner in self.learners]
        if first:
            self.measured = [step.measured for step in taken if step.measured is not None]
        self.losses += torch.cat([step.losses for step in taken])
        self.weights += torch.cat([step.weights for step in taken])

    def end_epoch(self, epoch: int) -> list[Logged]:
        events: list[Logged] = [self._train_event(epoch)]
        scores: list[float | None] = [None] * len(self.learners)
        if self._needs_validation:
            events.append(validation := self._validated(epoch))
            scores = [selection.validate(epoch, validation["metrics"]) for selection in self.selections]
        if self._is_due(epoch):
            events += self._due(epoch)
        for learner, score in zip(self.learners, scores, strict=True):
            learner.schedule.end_epoch(score)
        self.stopped = all(selection.is_stale(epoch) for selection in self.selections)
        self.losses, self.weights, self.measured = self._zeros(), self._zeros(), []
        return events

    def catch_up(self, epoch: int, index: int) -> list[Logged]:
        rule = self.config.evaluation
        if rule.select == "best_validation":
            return []
        first = max(1, self.config.epochs - rule.mean_last_epochs + 1)
        missing = [e for e in range(first, epoch + 1) if e not in self.selections[0].epochs]
        if missing == [epoch] and index == 0:
            return self._due(epoch)
        if missing:
            past = max(e for e in missing if e < epoch or index)
            why = f"of the last {rule.mean_last_epochs} (evaluation.mean_last_epochs) epoch {past} was not measured"
            raise UserError(f"epochs must be at least {past + rule.mean_last_epochs}, got {self.config.epochs}: {why}")
        return []

    def result(self) -> dict[str, Any]:
        values = {name: value for selection in self.selections for name, value in selection.result().items()}
        rule = self.config.evaluation
        published = self.benchmark.published_single_task
        return {
            **self.description(),
            "protocol": {
                "epochs": self.config.epochs,
                "select": rule.select,
                "mean_last_epochs": rule.mean_last_epochs,
                "patience_epochs": rule.patience_epochs,
            },
            "epochs_that_count": [selection.epochs for selection in self.selections],
            "metrics": [{**m._asdict(), "value": values[m.name]} for m in self.benchmark.metrics],
            "published_single_task": None if published is None else dict(published),
        }

    def state_dict(self) -> Mapping[str, Any]:
        return {
            "data": self._data_anywhere(),
            "sums": self._sums,
            "learners": [learner.state_dict() for learner in self.learners],
            "selections": [selection.state_dict() for selection in self.selections],
            "stopped": self.stopped,
            "losses": self.losses,
            "weights": self.weights,
            "measured": self.measured,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        saved_data, data = state.get("data"), self._data_anywhere()  # checkpoints of 0.2.0 do not tell
        if saved_data is not None and saved_data != data:
            raise UserError(f"data: the run was trained on {_shown(saved_data)}, got {_shown(data)}")
        pairs = zip(state.get("sums", self._sums), self._sums, strict=True)
        if not all(math.isclose(one, other, rel_tol=_SAME) for one, other in pairs):
            raise UserError(f"data: the run was trained on other examples than those of {_shown(data)}")
        for learner, saved in zip(self.learners, state["learners"], strict=True):
            learner.load_state_dict(saved)
        for selection, saved in zip(self.selections, state["selections"], strict=True):
            selection.load_state_dict(saved)
        self.stopped = state["stopped"]
        self.measured = [Measured(*measured) for measured in state["measured"]]  # plain tuples, from a file
        copy_checked("losses", [self.losses], [state["losses"]])
        self.weights.copy_(state["weights"])  # NaN from a coordinate-wise rule

    @property
    def _needs_validation(self) -> bool:
        rule = self.config.evaluation
        return self.config.schedule.kind == "plateau" or rule.select == "best_validation" or rule.patience_epochs > 0

    def _is_due(self, epoch: int) -> bool:
        """Whether metrics are taken after this epoch, those of validation aside that decide something."""
        rule = self.config.evaluation
        if epoch % rule.every_epochs == 0 or rule.patience_epochs:  # with patience, any epoch may be the last
            return True
        if rule.select == "best_validation":
            return any(selection.is_best(epoch) for selection in self.selections)
        return epoch > self.config.epochs - rule.mean_last_epochs

    def _sampled(self) -> list[float]:
        """Sums over a few examples of each split, by which other data of the same sizes are noticed."""
        sums: list[float] = []
        for split in filter(None, (self.data.train, self.data.validation, self.data.test)):
            batch = split.batch(torch.tensor(sorted({0, len(split) // 2, len(split) - 1})), None)
            map_leaves(lambda x: sums.append(float(x.double().abs().nan_to_num().sum())), batch)
        return sums

    def _check(self) -> None:
        for name, split in (("training", self.data.train), ("test", self.data.test)):
            if len(split) == 0:
                raise UserError(f"{self.data.source}: the {name} split is empty")
        if self._needs_validation and not self.data.validation:
            asking = "schedule.kind plateau, evaluation.select best_validation and evaluation.patience_epochs"
            raise UserError(f"{asking} need a validation split, and {self.benchmark.name} has none here")

    def _check_batches_of_one(self) -> None:
        """Refuses a network that cannot train on the one example that some batch has."""
        count, size = len(self.data.train), self.config.batch_size
        if 1 not in (size, count % size):
            return
        model = copy.deepcopy(self.learners[0].model).train()
        batch = self.data.train.batch(torch.tensor([0]), None).to(self.device)
        try:
            with torch.no_grad():
                model.predict(model.represent(batch.inputs))
        except ValueError as error:
            rule = "this network's batch normalisation needs two"
            raise UserError(f"batch_size {size} leaves a batch of one of {count:,} examples, and {rule}") from error

    def _validated(self, epoch: int) -> Evaluation:
        assert self.data.validation is not None  # see `_check`
        values = self._measure(self.data.validation)
        return {"kind": "evaluation", "epoch": epoch, "split": "validation", "metrics": values}

    def _due(self, epoch: int) -> list[Logged]:
        """The evaluations of an epoch in which they are taken, but that of validation where all epochs have it."""
        events: list[Logged] = []
        if self.data.validation and not self._needs_validation:
            events.append(self._validated(epoch))
        values = self._measure(self.data.test)
        for selection in self.selections:
            selection.add(epoch, values)
        return [*events, {"kind": "evaluation", "epoch": epoch, "split": "test", "metrics": values}]

    def _metrics(self, learner: BenchmarkLearner) -> list[Metric]:
        """The metrics of the tasks that a model learns."""
        tasks = {self.benchmark.tasks[task] for task in learner.tasks}
        return [metric for metric in self.benchmark.metrics if metric.task in tasks]

    def _measure(self, split: Split) -> dict[str, float]:
        """All metrics, each of the model that learns its task."""
        values: dict[str, float] = {}
        batch_size = self.config.evaluation.batch_size or self.config.batch_size
        for learner in self.learners:
            found = measure(self.benchmark, learner.model, split, batch_size, self.device)
            values |= {metric.name: found[metric.name] for metric in self._metrics(learner)}
        return values

    def _order(self, epoch: int) -> Tensor:
        """The order of the training examples in an epoch."""
        if self._drawn is None or self._drawn[0] != epoch:
            self._drawn = epoch, torch.randperm(len(self.data.train), generator=generator(self.seed, ORDER, epoch))
        return self._drawn[1]

    def _zeros(self) -> Tensor:
        return torch.zeros(len(self.benchmark.tasks), device=self.device)

    def _train_event(self, epoch: int) -> Train:
        event: Train = {
            "kind": "train",
            "epoch": epoch,
            "learning_rate": min(learner.learning_rate for learner in self.learners),
            "loss": self._per_task(self.losses / self.steps_per_epoch),
            "weights": self._per_task(self.weights / self.steps_per_epoch),
        }
        if not self.measured:
            return event
        event["gradient_norm"] = self._per_task(torch.cat([measured.gradient_norm for measured in self.measured]))
        event["conflict_rate"] = float(torch.stack([measured.conflict_rate for measured in self.measured]).mean())
        return event

    def _per_task(self, values: Tensor) -> dict[str, float | None]:
        """None for what is not finite: a coordinate-wise rule has no weights."""
        named = zip(self.benchmark.tasks, values.tolist(), strict=True)
        return {task: value if math.isfinite(value) else None for task, value in named}

    def _described_data(self) -> dict[str, Any]:
        validation = self.data.validation
        return {
            "source": self.data.source,
            "train": len(self.data.train),
            "validation": None if validation is None else len(validation),
            "test": len(self.data.test),
            "is_full": self.data.is_full,
        }

    def _data_anywhere(self) -> dict[str, Any]:
        """What the data are, whatever folder they lie in."""
        described = self._described_data()
        return described | {"source": re.sub(rf" in {re.escape(str(self.folder))}\S*", "", described["source"])}


def _shown(data: Mapping[str, Any]) -> str:
    sizes = ("-" if data[part] is None else f"{data[part]:,}" for part in ("train", "validation", "test"))
    return f"{data['source']} ({'/'.join(sizes)} examples)"


@torch.no_grad()
def measure(
    benchmark: Benchmark, model: MultiTaskModel, split: Split, batch_size: int, device: torch.device
) -> dict[str, float]:
    """Every metric of the benchmark by name, in its order; the model is left in evaluation mode.

    Raises:
        UserError: one is not finite, or an output of the model, which metrics of classes do not show.
    """
    model.eval()
    meter, diverged = benchmark.meter(split), torch.zeros((), dtype=torch.bool, device=device)
    for indices in torch.arange(len(split)).split(batch_size):
        batch = split.batch(indices, None).to(device)
        outputs = model.predict(model.represent(batch.inputs))
        map_leaves(lambda x: diverged.logical_or_(~x.isfinite().all()), outputs)
        meter.update(outputs, batch)
    if diverged:
        raise UserError("an output is not finite: the model has diverged, stopped")
    result = meter.result()
    values = {metric.name: float(result[metric.name]) for metric in benchmark.metrics}
    for name, value in values.items():
        if not math.isfinite(value):
            raise UserError(f"metric {name} is not finite ({value}): the model has diverged, stopped")
    return values
