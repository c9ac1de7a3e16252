"""The toy problem as something to train.

Axes: `S` loss scales, `N` starts; 2 is the two tasks, or the two coordinates of a point (last axis).
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mtrl.benchmarks.toy.descent import Descent
from mtrl.benchmarks.toy.problem import STARTS, pareto_set, toy_losses
from mtrl.benchmarks.toy.section import Toy
from mtrl.runs.events import Logged, Subject
from mtrl.runs.loading import check_finite, whole
from mtrl.runs.method_trial import try_method
from mtrl.supervised.run_config import SupervisedRunConfig
from mtrl.supervised.streams import METHOD, seed_of

TASKS = ("loss_1", "loss_2")
KEPT_EVERY = 50
"""Steps between the points that are kept of the paths."""


class ToyJob:
    """A `Job`: a step is `toy.steps_per_epoch` steps of Adam, and an epoch too."""

    steps_per_epoch = 1
    stopped = False

    def __init__(self, config: SupervisedRunConfig, toy: Toy, seed: int) -> None:
        self.toy = toy
        self.scales = torch.tensor(toy.scales, dtype=torch.float64)
        starts = torch.tensor(STARTS, dtype=torch.float64)
        optimizer = config.optimizer
        try_method(config.method, len(TASKS), (len(toy.scales), len(STARTS)))
        method = config.method.make(seed_of(seed, METHOD))
        self.descent = Descent(method, starts, self.scales, optimizer.learning_rate, optimizer.max_grad_norm)
        self.path = self.descent.points.clone().unsqueeze(0)
        self.taken = 0

    def description(self) -> Subject:
        starts = f"{len(STARTS)} starts, first loss times {' and '.join(f'{scale:g}' for scale in self.toy.scales)}"
        return {"benchmark": "toy", "tasks": list(TASKS), "data": {"source": f"two variables, {starts}"}}

    def step(self, epoch: int, index: int) -> None:
        points = self.descent.steps(self.toy.steps_per_epoch)
        numbers = torch.arange(len(points)) + self.taken + 1
        self.path = torch.cat((self.path, points[numbers % KEPT_EVERY == 0]))
        self.taken += len(points)

    def end_epoch(self, epoch: int) -> list[Logged]:
        losses = (toy_losses(self.descent.points) * self.descent.factors).mean((0, 1))
        metrics = {row["name"]: row["value"] for row in self._metrics()}
        return [
            {"kind": "train", "epoch": epoch, "loss": dict(zip(TASKS, losses.tolist(), strict=True))},
            {"kind": "evaluation", "epoch": epoch, "split": "test", "metrics": metrics},
        ]

    def catch_up(self, epoch: int, index: int) -> list[Logged]:
        return []

    def result(self) -> dict[str, Any]:
        return {
            **self.description(),
            "protocol": {"adam_steps": self.taken, "scales": list(self.toy.scales), "starts": [*STARTS]},
            "metrics": self._metrics(),
            "published_single_task": None,
        }

    def state_dict(self) -> Mapping[str, Any]:
        return {"descent": self.descent.state_dict(), "path": self.path, "taken": self.taken}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.descent.load_state_dict(state["descent"])
        self.path, self.taken = state["path"], whole("taken", state["taken"])
        check_finite("the path", self.path)

    def _metrics(self) -> list[dict[str, Any]]:
        """How far each run is from the Pareto front, and where it is."""
        rows: list[dict[str, Any]] = []
        for scale, points in zip(self.toy.scales, self.descent.points, strict=True):
            gaps = gap_to_front(points, torch.tensor([scale, 1.0], dtype=torch.float64))
            for start, (x1, x2), gap in zip(STARTS, points.tolist(), gaps.tolist(), strict=True):
                task = f"scale {scale:g} from ({start[0]:g}, {start[1]:g})"
                common = {"task": task, "higher_is_better": False, "unit": ""}
                rows.append({"name": f"gap, {task}", "value": gap, **common, "end": [x1, x2]})
        return rows


def gap_to_front(points: Tensor, factors: Tensor) -> Tensor:
    """Distance of scaled losses to the Pareto front, `[..., 2]` and `[2]` to `[...]`."""
    front = toy_losses(pareto_set(torch.linspace(-7, 7, 14_001, dtype=torch.float64))) * factors
    return torch.cdist((toy_losses(points) * factors).reshape(-1, 2), front).amin(-1).view(points.shape[:-1])
