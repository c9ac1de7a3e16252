"""What a supervised run is made of and what it drives, whatever the benchmark.

The docstring under a field is its help text.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Protocol, Self

import torch
from pydantic import Field, model_validator

from mtrl import aggregation
from mtrl.runs.events import Logged, Subject
from mtrl.runs.reading import SINGLE_TASK
from mtrl.runs.section import (
    Count,
    MethodConfig,
    NonNegative,
    NonNegativeFloat,
    PathText,
    Positive,
    PositiveFloat,
    RunConfig,
    Section,
    Threads,
)


class SupervisedMethodConfig(MethodConfig):
    """The aggregation method and its own hyper-parameters, e.g. `{name: cagrad, c: 0.4}`."""

    name: str = "mean"
    """Aggregates the per-task gradients of the shared parameters; `single_task` trains a model of its own for every
    task instead, as the baseline of delta_m."""

    @model_validator(mode="after")
    def _exists(self) -> Self:  # in place of that of the base class
        if self.name == SINGLE_TASK:
            if self.arguments or self.update_every > 1:
                given = next(iter(self.arguments), "update_every")
                raise ValueError(f"{SINGLE_TASK} has no hyper-parameter {given!r}")
            return self
        checked = MethodConfig(name=self.name, update_every=self.update_every, **self.arguments)
        method = aggregation.make(checked.name, **checked.arguments)
        if self.update_every > 1 and method.needs_update:
            rule = f"update_every must be 1 with {self.name}, which learns at every step"
            raise ValueError(f"{rule}, got {self.update_every}")
        return self


class OptimizerConfig(Section):
    """Follows the combined gradient."""

    name: Literal["sgd", "adam"] = "adam"
    """Stochastic gradient descent, or Adam."""
    learning_rate: PositiveFloat = 1e-3
    """Step size of the first epoch."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Of `sgd`."""
    weight_decay: NonNegativeFloat = 0.0
    """L2 penalty, as a share of each parameter that is added to its gradient."""
    max_grad_norm: PositiveFloat | None = None
    """The combined gradient of the shared parameters is clipped to this norm; none if null."""


class ScheduleConfig(Section):
    """How the step size falls."""

    kind: Literal["constant", "step", "multi_step", "plateau"] = "constant"
    """`step`: every `every_epochs`; `multi_step`: at `milestones`; `plateau`: when the validation metrics have not
    improved (delta_m, see `evaluation.select`) for more than `patience_epochs`."""
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """By which the step size is multiplied."""
    every_epochs: Positive = 30
    """Of `step`."""
    milestones: Annotated[tuple[Positive, ...], Field(max_length=1_000)] = ()
    """Of `multi_step`: epochs after which the step size falls."""
    patience_epochs: NonNegative = 5
    """Of `plateau`."""
    minimum: NonNegativeFloat = 0.0
    """Of `plateau`: the step size falls no further."""

    @model_validator(mode="after")
    def _milestones_of_multi_step(self) -> Self:
        if self.kind == "multi_step" and not self.milestones:
            raise ValueError("milestones must be epochs with kind 'multi_step', got none")
        if self.kind != "multi_step" and self.milestones:
            raise ValueError(f"milestones need kind to be 'multi_step', got {self.kind!r}")
        return self


class EvaluationConfig(Section):
    """When metrics are taken, and which of them count."""

    every_epochs: Positive = 1
    """Metrics of the test (and validation) split are logged every so many epochs; always in those that count."""
    batch_size: Count | None = None
    """Examples in a batch, on which no metric depends; null for the training's."""
    select: Literal["last", "best_validation"] = "last"
    """Which model counts: that of the last epoch, or of the epoch with the best validation delta_m (against the
    published single-task metrics where they hold, else against those of the first evaluation; what is zero there is
    compared by the mean of the others of its unit, or by 1)."""
    mean_last_epochs: Positive = 1
    """With `last`: the mean of the test metrics of so many last epochs counts (the papers' dense benchmarks: 10)."""
    patience_epochs: NonNegative = 0
    """Training stops when the best validation delta_m is older than this; 0 for never."""

    @model_validator(mode="after")
    def _one_rule(self) -> Self:
        if self.select == "best_validation" and self.mean_last_epochs > 1:
            raise ValueError("mean_last_epochs needs select to be 'last', got 'best_validation'")
        return self


class Job(Protocol):
    """Something that is trained, epoch by epoch. An epoch is counted from 1, a step within it from 0."""

    @property
    def steps_per_epoch(self) -> int:
        """Steps of an epoch."""

    @property
    def stopped(self) -> bool:
        """Whether training has ended before its epochs are over."""

    def description(self) -> Subject:
        """What is trained on what, for the first line of `metrics.jsonl`."""

    def step(self, epoch: int, index: int) -> None:
        """One step.

        Raises:
            UserError: it cannot be made; training stops.
        """

    def end_epoch(self, epoch: int) -> list[Logged]:
        """What the epoch's lines in `metrics.jsonl` say, `kind` included; step and time are added to them."""

    def catch_up(self, epoch: int, index: int) -> list[Logged]:
        """Measures what counts and has not been measured: a run may go on with other `epochs` than it was begun with.

        Args:
            epoch: the last one that has ended; 0 before the first.
            index: steps that were taken after it.

        Returns:
            As `end_epoch`.

        Raises:
            UserError: what counts is past.
        """

    def result(self) -> dict[str, Any]:
        """What `evaluation.json` says of the finished job."""

    def state_dict(self) -> Mapping[str, Any]:
        """All that the next step depends on."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Inverse of `state_dict`.

        Raises:
            UserError: the state is of other data.
        """


class SupervisedRunConfig(RunConfig, ABC):
    """A run of supervised multi-task learning; a subclass says on which benchmarks."""

    data: PathText | None = None
    """Folder of the benchmark's files; null for what the benchmark has without any."""
    epochs: Positive = 100
    """Passes over the training split."""
    batch_size: Count = 256
    """Examples in a step; the last batch of an epoch has what is left."""
    gradients: Literal["parameters", "features"] = "parameters"
    """Where the tasks' gradients are compared: at the shared parameters, or at the representation, with one backward
    pass through the trunk (MGDA-UB)."""
    chunk_size: Count = 1
    """Tasks that one batched backward pass serves; more trades memory for fewer, larger operations."""
    log_gradients: bool = True
    """Log the tasks' gradient norms and conflict rate at the first step of each epoch, whatever the method."""
    checkpoint_every_epochs: Positive = 1
    """A checkpoint is written every so many epochs, at the end, and on interruption."""
    checkpoint_every_minutes: NonNegativeFloat = 5.0
    """A checkpoint is also written when the last one is so old, so that a lost machine costs minutes; 0 for never."""
    threads: Threads = 0
    """CPU threads; 0 takes all cores."""
    method: SupervisedMethodConfig = SupervisedMethodConfig()
    """Gradient aggregation."""
    benchmark: Section
    """Data, model, losses and metrics."""
    optimizer: OptimizerConfig = OptimizerConfig()
    """Optimizer."""
    schedule: ScheduleConfig = ScheduleConfig()
    """Step size over the epochs."""
    evaluation: EvaluationConfig = EvaluationConfig()
    """Evaluation."""

    may_differ = RunConfig.may_differ | {
        "data",
        "epochs",
        "threads",
        "checkpoint_every_epochs",
        "checkpoint_every_minutes",
    }

    @model_validator(mode="after")
    def _the_last_epochs_are_there(self) -> Self:
        if self.evaluation.mean_last_epochs > self.epochs:
            rule = f"evaluation.mean_last_epochs must be at most epochs={self.epochs}"
            raise ValueError(f"{rule}, got {self.evaluation.mean_last_epochs}")
        return self

    @model_validator(mode="after")
    def _features_are_not_remembered(self) -> Self:
        name, arguments = self.method.name, self.method.arguments
        if (
            self.gradients == "features"
            and name != SINGLE_TASK
            and aggregation.make(name, **arguments).remembers_gradients
        ):
            raise ValueError(
                f"gradients must be parameters with {name}, which remembers the gradients of other samples"
            )
        return self

    @abstractmethod
    def job(self, seed: int, device: torch.device) -> Job:
        """What is trained for a seed: a `BenchmarkJob` where the benchmark is a `Benchmark`.

        Raises:
            UserError: the data cannot be read, or do not suffice for what is asked for.
        """
