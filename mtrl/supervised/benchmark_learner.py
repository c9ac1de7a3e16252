"""One model that learns some of a benchmark's tasks: all of them, or for `single_task` one.

Axes: `B` batch, `T` tasks that are learned.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from mtrl.aggregation import LinearScalarization
from mtrl.conflict import conflict_rate, norms
from mtrl.gradients import backward, loss_gradients
from mtrl.runs.errors import UserError
from mtrl.runs.loading import check_finite, load_optimizer
from mtrl.runs.reading import SINGLE_TASK
from mtrl.supervised.benchmark import Batch, Benchmark
from mtrl.supervised.run_config import SupervisedRunConfig
from mtrl.supervised.schedule import Schedule
from mtrl.supervised.streams import FIRST_PARAMETERS, METHOD, seed_of


class Measured(NamedTuple):
    """How the tasks' gradients stand to each other, at one step."""

    gradient_norm: Tensor
    """`[T]`."""
    conflict_rate: Tensor
    """Scalar: the share of pairs with a negative inner product."""


class Taken(NamedTuple):
    """What a step of a learner gives."""

    losses: Tensor
    """`[T]`."""
    weights: Tensor
    """`[T]`; NaN from a coordinate-wise rule."""
    measured: Measured | None


class BenchmarkLearner:
    """Model, method, optimizer, schedule.

    Args:
        config: of the run.
        benchmark: its data aside.
        tasks: indices of those that are learned.
        device: of the model.
        seed: of the run; decides the first parameters, and what the method draws.
    """

    def __init__(
        self, config: SupervisedRunConfig, benchmark: Benchmark, tasks: Sequence[int], device: torch.device, seed: int
    ) -> None:
        self.config, self.benchmark, self.tasks = config, benchmark, tuple(tasks)
        torch.manual_seed(seed_of(seed, FIRST_PARAMETERS))
        self.model = benchmark.model().to(device)
        self.shared = [*self.model.shared_parameters()]
        known = {id(p) for p in self.shared}
        self.heads = [p for p in self.model.parameters() if id(p) not in known]
        alone = config.method.name == SINGLE_TASK
        self.method = (LinearScalarization() if alone else config.method.make(seed_of(seed, METHOD))).to(device)
        self.optimizer = _optimizer(config, self.model.parameters())
        self.schedule = Schedule(config.schedule, self.optimizer)

    @property
    def learning_rate(self) -> float:
        """The optimizer's learning rate now."""
        return float(self.optimizer.param_groups[0]["lr"])

    def step(self, batch: Batch, measure: bool, seed: int) -> Taken:
        """One step of the optimizer.

        Args:
            batch: on the model's device.
            measure: also look at the tasks' gradients, whatever the method needs.
            seed: of dropout; the losses before and after the step, which a method may compare, have the same masks.

        Raises:
            UserError: a loss or gradient is not finite, or not as the method needs it.
        """
        self.model.train()
        self.optimizer.zero_grad()
        losses, representation = self._losses(batch, seed)
        values = torch.stack([loss.detach() for loss in losses])
        features = representation if self.config.gradients == "features" else None
        measured = self._measure(losses, features) if measure else None
        try:
            weights = backward(
                losses,
                self.method,
                self.shared,
                features=features,
                heads=self.heads,
                update_every=self.config.method.update_every,
                chunk_size=self.config.chunk_size,
            )
        except ValueError as error:
            raise UserError(self._explained(values, error)) from error
        if self.config.optimizer.max_grad_norm is not None:
            nn.utils.clip_grad_norm_(self.shared, self.config.optimizer.max_grad_norm)
        self.optimizer.step()
        if self.method.needs_update:
            with torch.no_grad():
                self.method.update(torch.stack(self._losses(batch, seed)[0]))
        return Taken(values, weights, measured)

    def state_dict(self) -> dict[str, Any]:
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "method": self.method.state_dict(),
            "schedule": self.schedule.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        check_finite("the model", state["model"])
        self.model.load_state_dict(state["model"])
        load_optimizer("the optimizer", self.optimizer, state["optimizer"])
        self.method.load_state_dict(state["method"])
        self.schedule.load_state_dict(state["schedule"])

    def _losses(self, batch: Batch, seed: int) -> tuple[list[Tensor], Any]:
        """The losses of the tasks that are learned, and the representation."""
        torch.manual_seed(seed)
        representation = self.model.represent(batch.inputs)
        losses = self.benchmark.losses(self.model.predict(representation), batch)
        return [losses[task] for task in self.tasks], representation

    def _measure(self, losses: Sequence[Tensor], features: Any) -> Measured:
        at = self.shared if features is None else [features] if isinstance(features, Tensor) else [*features]
        by_name = {str(i): x for i, x in enumerate(at)}
        gradients, _ = loss_gradients(losses, by_name, chunk_size=self.config.chunk_size, retain_graph=True)
        gram = gradients.gram()
        return Measured(norms(gram), conflict_rate(gram))

    def _explained(self, values: Tensor, error: ValueError) -> str:
        for task, value in zip(self.tasks, values.tolist(), strict=True):
            if not torch.isfinite(torch.tensor(value)):
                return f"the loss of task {self.benchmark.tasks[task]} is not finite ({value}): stopped"
        return f"{error}: stopped"


def _optimizer(config: SupervisedRunConfig, parameters: Any) -> torch.optim.Optimizer:
    settings = config.optimizer
    lr, decay = settings.learning_rate, settings.weight_decay
    if settings.name == "sgd":
        return torch.optim.SGD(parameters, lr=lr, momentum=settings.momentum, weight_decay=decay)
    return torch.optim.Adam(parameters, lr=lr, weight_decay=decay)
