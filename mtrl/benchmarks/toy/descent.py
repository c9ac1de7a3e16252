"""Runs of the toy problem: where on its Pareto front a method ends, from each of the starts.

Axes: `S` loss scales, `N` starts; 2 is the two tasks, or the two coordinates of a point (last axis).
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mtrl.aggregation import CoordinateMethod, GradientMethod, Method
from mtrl.benchmarks.toy.problem import toy_gradients, toy_losses
from mtrl.runs.loading import copy_checked, load_optimizer


class Descent:
    """Adam along the method's update, from all starts at all loss scales side by side.

    Args:
        method: a new one. A rule with random numbers uses the same ones in all the runs.
        starts: `[N, 2]`.
        scales: what the first loss is multiplied by, `[S]`.
        lr: learning rate of Adam.
        max_norm: clips the update of a run to this norm; Nash-MTL is published with 1.
    """

    def __init__(
        self,
        method: Method | CoordinateMethod,
        starts: Tensor,
        scales: Tensor,
        lr: float = 1e-3,
        max_norm: float | None = None,
    ) -> None:
        self.method, self.max_norm = method, max_norm
        self.factors = torch.stack((scales, torch.ones_like(scales)), -1).unsqueeze(1)
        self.points = starts.expand(len(scales), *starts.shape).clone()
        self.adam = torch.optim.Adam([self.points], lr=lr)

    def steps(self, count: int) -> Tensor:
        """The next points, `[count, S, N, 2]`."""
        trajectory = self.points.new_empty(count, *self.points.shape)
        for step in range(count):
            gradients, losses = toy_gradients(self.points, self.factors)
            update = aggregated(self.method, gradients, losses)
            if self.max_norm is not None:
                update = update * (self.max_norm / update.norm(dim=-1, keepdim=True)).clamp(max=1)
            self.points.grad = update
            self.adam.step()
            if self.method.needs_update:
                self.method.update(toy_losses(self.points) * self.factors)
            trajectory[step] = self.points
        return trajectory

    def state_dict(self) -> dict[str, Any]:
        return {"points": self.points, "adam": self.adam.state_dict(), "method": self.method.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        copy_checked("points", [self.points], [state["points"]])
        load_optimizer("Adam", self.adam, state["adam"])
        self.method.load_state_dict(state["method"])


def descend(
    method: Method | CoordinateMethod,
    starts: Tensor,
    scales: Tensor,
    steps: int = 35_000,
    lr: float = 1e-3,
    max_norm: float | None = None,
) -> Tensor:
    """The points of a whole descent, `[steps + 1, S, N, 2]`, with the start; for the arguments see `Descent`."""
    descent = Descent(method, starts, scales, lr, max_norm)
    return torch.cat((descent.points.clone().unsqueeze(0), descent.steps(steps)))


def aggregated(method: Method | CoordinateMethod, gradients: Tensor, losses: Tensor) -> Tensor:
    """The update, `[..., P]`, of gradients `[..., T, P]` and losses `[..., T]`."""
    by_point = _Gradients(gradients)
    if isinstance(method, GradientMethod):
        return method.direction(by_point, losses)[0]["point"]
    return by_point.combine(method(by_point.gram(), losses))["point"]


class _Gradients(NamedTuple):
    """The tasks' gradients in the form in which methods read them."""

    of_tasks: Tensor
    """`[..., T, P]`"""

    def whole(self) -> Mapping[str, Tensor]:
        return {"point": self.of_tasks}

    def with_leaves(self, leaves: Mapping[str, Tensor]) -> "_Gradients":
        return _Gradients(leaves["point"])

    def gram(self) -> Tensor:
        return self.of_tasks @ self.of_tasks.mT

    def combine(self, weights: Tensor) -> dict[str, Tensor]:
        return {"point": (weights.unsqueeze(-2) @ self.of_tasks).squeeze(-2)}
