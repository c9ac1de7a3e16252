"""Multi-task soft actor-critic: its state, and one update of it.

Axes: `T` tasks, `E` environments, `B` batch per task, `O` observation, `A` action.
"""

from __future__ import annotations  # evaluated annotations of inner functions break compiled graphs

import copy
from typing import NamedTuple

import torch
from torch import Generator, Tensor
from torch.func import vmap

from agents.compiling import Function, compiled
from agents.config import AgentConfig, Config
from agents.losses import Batch, SoftActorCritic
from agents.networks import Network, NetworkParameters, TwinCritic
from agents.values import CategoricalValue, ScalarValue, ValueHead
from mtrl import aggregation
from mtrl.aggregation import CoordinateMethod, LinearScalarization, Method
from mtrl.conflict import conflict_rate, norms
from mtrl.gradients import TaskGradients, linear_task_gradients
from mtrl.runs.section import MethodConfig


class ComponentMetrics(NamedTuple):
    """What an update of one component (critic or actor) did; tensors on the learner's device."""

    loss: Tensor
    """`[T]`"""
    weights: Tensor
    """`[T]`, given to the tasks' gradients by the method; NaN from a coordinate-wise rule."""
    gradient_norm: Tensor
    """`[T]`, of the shared parameters."""
    conflict_rate: Tensor
    """Share of task pairs whose gradients point against each other, scalar."""


class Metrics(NamedTuple):
    """What an update did."""

    critic: ComponentMetrics
    actor: ComponentMetrics
    value: Tensor
    """`[T]`, mean critic value of the batch."""
    entropy: Tensor
    """`[T]`, of the policy before the update."""
    temperature: Tensor
    """`[T]`, before the update."""


class Direction(NamedTuple):
    """A step's gradients for one component and what is logged of it."""

    shared: dict[str, Tensor]
    own: dict[str, Tensor]
    metrics: ComponentMetrics


def build_functions(
    config: AgentConfig, observation_size: int, action_size: int, precision: torch.dtype
) -> SoftActorCritic:
    """The networks and losses that a configuration describes."""
    value_head: ValueHead = (
        CategoricalValue(config.num_atoms, config.value_limit) if config.value == "categorical" else ScalarValue()
    )
    embedding = config.task_embedding
    actor = Network(config.actor, observation_size, 2 * action_size, embedding, 0.01, precision)
    first, second = (
        Network(
            config.critic,
            observation_size + action_size,
            value_head.num_outputs,
            embedding,
            1.0,
            precision,
            prefix,
        )
        for prefix in ("first.", "second.")
    )
    return SoftActorCritic(
        actor,
        TwinCritic((first, second)),
        value_head,
        config.discount,
        config.log_std_min,
        config.log_std_max,
    )


class MultiTaskSAC:
    """Soft actor-critic whose shared parameters follow aggregated per-task gradients.

    Critic and actor each have a method of their own, with its own state; where the method needs positive losses, the
    actor takes the mean. Heads, embeddings and temperatures belong to one task each and take their plain gradients.

    Args:
        config: of the run.
        num_tasks: `T`.
        observation_size: `O`.
        action_size: `A`.
        device: of all tensors.
        seed: decides first parameters, batches' noise and exploration.
    """

    def __init__(
        self,
        config: Config,
        num_tasks: int,
        observation_size: int,
        action_size: int,
        device: torch.device,
        seed: int,
    ) -> None:
        self.config, self.device = config.agent, device
        precision = getattr(torch, config.training.precision)
        self.functions = build_functions(config.agent, observation_size, action_size, precision)
        first = Generator().manual_seed(seed)
        self.critic = _to(self.functions.critic.init(num_tasks, first), device)
        self.target = _to(self.critic, device)
        self.actor = _to(self.functions.actor.init(num_tasks, first), device)
        self.log_alpha = torch.full((num_tasks,), config.agent.initial_temperature, device=device).log()
        self.critic_method = aggregation.make(config.method.name, **config.method.arguments).to(device)
        self.actor_method = _method_for_actor(config.method).to(device)
        rate, decay = config.agent.learning_rate, config.agent.weight_decay
        self.critic_optimizer, self.actor_optimizer = (
            torch.optim.AdamW(p.tensors(), rate, weight_decay=decay, fused=True) for p in (self.critic, self.actor)
        )
        # beta1 = 0.5 for the temperatures: BRC (Nauman et al. 2025).
        self.temperature_optimizer = torch.optim.Adam([self.log_alpha], rate, betas=(0.5, 0.999), fused=True)
        self.generator = Generator(device).manual_seed(seed)
        self.num_updates = 0
        functions: tuple[Function, ...] = (
            self._critic_direction_eager,
            self._actor_direction_eager,
            self._critic_losses_eager,
        )
        if config.training.compile:
            functions = compiled(*functions)
        self._critic_direction, self._actor_direction, self._critic_losses = functions
        self._actor_metrics: tuple[ComponentMetrics, Tensor] | None = None

    @torch.no_grad()
    def act(self, observation: Tensor, noise: Tensor | None = None) -> Tensor:
        """Actions of the policy.

        Args:
            observation: `[T, E, O]`.
            noise: standard normal, `[T, E, A]`; None for the deterministic action.

        Returns:
            `[T, E, A]`, in (-1, 1).
        """
        mean, log_std = self._policy(self.actor, observation)
        return (mean if noise is None else mean + log_std.exp() * noise).tanh()

    def update(self, batch: Batch) -> Metrics:
        """One update: critics, then (every `actor_every`-th time) actor and temperatures, then targets.

        Args:
            batch: `[T, B, ...]`, rewards scaled.

        Returns:
            Metrics; those of the actor are its last update's.
        """
        alpha = self.log_alpha.detach().exp()
        noise = self.noise(batch.action.shape)
        critic_inputs = self.critic, self.target, self.actor, batch, alpha, noise
        direction, value = self._critic_direction(*critic_inputs)
        critic_metrics = self._step(self.critic, direction, self.critic_optimizer)
        if isinstance(self.critic_method, Method) and self.critic_method.needs_update:
            self.critic_method.update(self._critic_losses(*critic_inputs))
        if self._actor_metrics is None or self.num_updates % self.config.actor_every == 0:
            noise = self.noise(batch.action.shape)
            direction, entropy = self._actor_direction(self.actor, self.critic, batch.observation, alpha, noise)
            self._actor_metrics = self._step(self.actor, direction, self.actor_optimizer), entropy
            # Haarnoja et al. 2018b, eq. 18, in log(alpha) as every public code has it.
            self.log_alpha.grad = entropy - self.config.target_entropy
            self.temperature_optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(self.target.tensors(), self.critic.tensors(), self.config.target_rate)
        self.num_updates += 1
        actor_metrics, entropy = self._actor_metrics
        return Metrics(critic_metrics, actor_metrics, value, entropy, alpha)

    def set_progress(self, share: float) -> None:
        """Sets the step sizes for a point of the run, `share` of the budget in [0, 1]."""
        rate = self.config.learning_rate * (1 - (1 - self.config.final_learning_rate) * share)
        for optimizer in self._optimizers():
            for group in optimizer.param_groups:
                group["lr"] = rate

    def noise(self, shape: torch.Size | tuple[int, ...]) -> Tensor:
        """Standard normal numbers from the agent's own generator."""
        return torch.randn(shape, generator=self.generator, device=self.device)

    def state_dict(self) -> dict[str, object]:
        """Everything that the next update depends on, batches aside."""
        return {
            "parameters": {name: [t.clone() for t in tensors] for name, tensors in self._tensors().items()},
            "optimizers": [copy.deepcopy(optimizer.state_dict()) for optimizer in self._optimizers()],
            "methods": [self.critic_method.state_dict(), self.actor_method.state_dict()],
            "generator": self.generator.get_state(),
            "num_updates": self.num_updates,
            "actor_metrics": self._actor_metrics,
        }

    def load_state_dict(self, state: dict) -> None:
        """Inverse of `state_dict`, for an agent of the same configuration."""
        for name, tensors in self._tensors().items():
            for tensor, saved in zip(tensors, state["parameters"][name], strict=True):
                tensor.copy_(saved)
        for optimizer, saved in zip(self._optimizers(), state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        for method, saved in zip((self.critic_method, self.actor_method), state["methods"], strict=True):
            method.load_state_dict(saved)
        self.generator.set_state(state["generator"].cpu())
        self.num_updates = state["num_updates"]
        self._actor_metrics = state["actor_metrics"]

    def _tensors(self) -> dict[str, list[Tensor]]:
        return {
            "critic": self.critic.tensors(),
            "target": self.target.tensors(),
            "actor": self.actor.tensors(),
            "log_alpha": [self.log_alpha],
        }

    def _optimizers(self) -> tuple[torch.optim.Optimizer, ...]:
        return self.critic_optimizer, self.actor_optimizer, self.temperature_optimizer

    def _policy(self, actor: NetworkParameters, observation: Tensor) -> tuple[Tensor, Tensor]:
        def of_one_task(own: dict[str, Tensor], rows: Tensor) -> tuple[Tensor, Tensor]:
            mean, log_std = self.functions.policy({}, actor.shared, own, rows)
            return mean, log_std

        return vmap(of_one_task)(actor.own, observation)

    def _critic_direction_eager(
        self,
        critic: NetworkParameters,
        target: NetworkParameters,
        actor: NetworkParameters,
        batch: Batch,
        alpha: Tensor,
        noise: Tensor,
    ) -> tuple[Direction, Tensor]:
        loss = self._critic_loss(target, actor)
        arguments = batch, target.own, actor.own, alpha, noise
        gradients, own, losses, value = linear_task_gradients(
            loss, critic.shared, critic.own, *arguments, num_rows=noise.shape[1]
        )
        return _aggregate(self.critic_method, gradients, own, losses), value

    @torch.no_grad()
    def _critic_losses_eager(
        self,
        critic: NetworkParameters,
        target: NetworkParameters,
        actor: NetworkParameters,
        batch: Batch,
        alpha: Tensor,
        noise: Tensor,
    ) -> Tensor:
        """`[T]`"""

        def of_one_task(own, *arguments):  # type: ignore[no-untyped-def]
            value, _ = self._critic_loss(target, actor)({}, critic.shared, own, *arguments)
            return value

        return vmap(of_one_task)(critic.own, batch, target.own, actor.own, alpha, noise)

    def _critic_loss(self, target: NetworkParameters, actor: NetworkParameters) -> Function:
        """The loss of one task, given its own part of target and actor."""

        def loss(tape, shared, own, batch, target_own, actor_own, alpha, noise):  # type: ignore[no-untyped-def]
            frozen = (target.shared, target_own), (actor.shared, actor_own)
            return self.functions.critic_loss(tape, shared, own, batch, *frozen, alpha, noise)

        return loss

    def _actor_direction_eager(
        self,
        actor: NetworkParameters,
        critic: NetworkParameters,
        observation: Tensor,
        alpha: Tensor,
        noise: Tensor,
    ) -> tuple[Direction, Tensor]:
        def loss(tape, shared, own, observation, critic_own, alpha, noise):  # type: ignore[no-untyped-def]
            frozen = critic.shared, critic_own
            return self.functions.actor_loss(tape, shared, own, observation, frozen, alpha, noise)

        arguments = observation, critic.own, alpha, noise
        gradients, own, losses, entropy = linear_task_gradients(
            loss, actor.shared, actor.own, *arguments, num_rows=noise.shape[1]
        )
        return _aggregate(self.actor_method, gradients, own, losses), entropy

    def _step(
        self, parameters: NetworkParameters, direction: Direction, optimizer: torch.optim.Optimizer
    ) -> ComponentMetrics:
        for group, gradients in ((parameters.shared, direction.shared), (parameters.own, direction.own)):
            for name, parameter in group.items():
                parameter.grad = gradients[name]
        if self.config.max_grad_norm is not None:
            torch.nn.utils.clip_grad_norm_(parameters.tensors(), self.config.max_grad_norm)
        optimizer.step()
        return direction.metrics


def _method_for_actor(config: MethodConfig) -> Method | CoordinateMethod:
    """The configured method, or the mean in place of one that needs positive losses, as in FAMO's published agent."""
    method = aggregation.make(config.name, **config.arguments)
    return LinearScalarization() if isinstance(method, Method) and method.positive_losses else method


def _aggregate(
    method: Method | CoordinateMethod, gradients: TaskGradients, own: dict[str, Tensor], losses: Tensor
) -> Direction:
    shared, weights, gram = gradients.aggregate(method, losses)
    return Direction(shared, own, ComponentMetrics(losses, weights, norms(gram), conflict_rate(gram)))


def _to(parameters: NetworkParameters, device: torch.device) -> NetworkParameters:
    shared, own = ({name: t.detach().to(device, copy=True) for name, t in group.items()} for group in parameters)
    return NetworkParameters(shared, own)
