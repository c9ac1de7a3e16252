"""What an update did. Axes: `S` replicas, `T` tasks."""

from typing import NamedTuple

from torch import Tensor


class ComponentMetrics(NamedTuple):
    """Of one component (critic or actor); tensors on the learner's device."""

    loss: Tensor
    """`[S, T]`"""
    weights: Tensor
    """`[S, T]`, given to the tasks' gradients by the method; NaN from a coordinate-wise rule."""
    gradient_norm: Tensor
    """`[S, T]`, of the shared parameters, when the weights were made."""
    conflict_rate: Tensor
    """Share of task pairs whose gradients pointed against each other then, `[S]`."""
    cosines: Tensor
    """Between the tasks' gradients then, `[S, T, T]`; 0 for a gradient that is zero."""


class Metrics(NamedTuple):
    """Of critic, actor and temperatures."""

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
