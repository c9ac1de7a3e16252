"""Measurements of an update and of its gradients. Axes: `S` replicas, `T` tasks."""

from typing import NamedTuple, Self

import torch
from torch import Tensor

from mtrl.conflict import conflict_rate, cosines, norms


class Conflict(NamedTuple):
    """Norms and cosines of the tasks' gradients by the shared parameters, summed over so many measurements."""

    measurements: Tensor
    """`[S]`"""
    gradient_norm: Tensor
    """`[S, T]`"""
    conflict_rate: Tensor
    """Share of task pairs whose gradients point against each other, `[S]`."""
    cosines: Tensor
    """Between the tasks' gradients, `[S, T, T]`; 0 for a gradient that is zero."""

    @classmethod
    def none(cls, num_replicas: int, num_tasks: int, device: torch.device) -> Self:
        """Metrics before the first measurement."""
        shapes = (), (num_tasks,), (), (num_tasks, num_tasks)
        return cls(*(torch.zeros(num_replicas, *shape, device=device, dtype=torch.float32) for shape in shapes))

    def add(self, gram: Tensor) -> Self:
        """One measurement more, of a Gram matrix `[S, T, T]`."""
        new = torch.ones_like(self.measurements), norms(gram), conflict_rate(gram), cosines(gram)
        return type(self)(*(total + one for total, one in zip(self, new, strict=True)))

    def mean(self) -> Self:
        """The mean over the measurements; NaN if there is none."""
        return type(self)(*(total / self.measurements.view(-1, *(1 for _ in total.shape[1:])) for total in self))


class ComponentMetrics(NamedTuple):
    """Measurements of one component (critic or actor); tensors on the learner's device."""

    loss: Tensor
    """`[S, T]`"""
    weights: Tensor
    """`[S, T]`, given to the tasks' gradients by the method; NaN from a coordinate-wise rule."""
    conflict: Conflict
    """Measured every `training.conflict_every_updates` updates, since the last line of the log."""


class Metrics(NamedTuple):
    """Measurements of critic, actor and temperatures in one update."""

    critic: ComponentMetrics
    actor: ComponentMetrics
    value: Tensor
    """`[S, T]`, mean critic value of the batch."""
    entropy: Tensor
    """`[S, T]`, of the policy before the update."""
    temperature: Tensor
    """`[S, T]`, before the update."""
    critic_residual: Tensor
    """The largest residual of the critic's method since the process began, `[S]`, of all replicas together; 0 for a
    closed form."""
    actor_residual: Tensor
    """The actor's."""
