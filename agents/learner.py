"""Multi-task soft actor-critic for several seeds side by side: its state, and one update of it.

Axes: `S` replicas (one a seed), `T` tasks, `E` environments, `B` batch per task, `O` observation, `A` action.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Generator, Tensor
from torch.func import vmap

from mtrl import aggregation
from mtrl.agents.compiling import Function, compiled
from mtrl.agents.config import Config
from mtrl.agents.directions import Direction, Directions, Policies
from mtrl.agents.functions import build_functions
from mtrl.agents.interface import ActorFunction
from mtrl.agents.losses import Batch
from mtrl.agents.metrics import ComponentMetrics, Conflict, Metrics
from mtrl.agents.networks import Layout, NetworkParameters
from mtrl.agents.networks.parameters import Part
from mtrl.agents.precision import dtype_of
from mtrl.agents.side_by_side import join, take
from mtrl.aggregation import CoordinateMethod, LinearScalarization, LossMethod, Method
from mtrl.gradients import by_task
from mtrl.runs.loading import copy_checked, load_optimizer, whole
from mtrl.runs.section import MethodConfig


class _Functions(NamedTuple):
    """Those of `Directions`."""

    critic: Function
    actor: Function
    critic_losses: Function


class Learner:
    """Soft actor-critics, one a seed, whose shared parameters follow aggregated per-task gradients.

    A replica draws the random numbers that it draws alone, and computes what it computes alone but for rounding.

    Critic and actor each have a method of their own, with its own state; where the method needs positive losses, the
    actor takes the mean. Heads, embeddings and temperatures belong to one task each and take their plain gradients.

    Args:
        config: of the run, its precision chosen.
        num_tasks: `T`.
        observation_size: `O`.
        action_size: `A`.
        device: of all tensors.
        seeds: of the replicas; each decides first parameters, noise and exploration of its own.

    Raises:
        ValueError: the precision is `auto`.
    """

    def __init__(
        self,
        config: Config,
        num_tasks: int,
        observation_size: int,
        action_size: int,
        device: torch.device,
        seeds: Sequence[int],
    ) -> None:
        self.config, self.device, self.seeds = config.agent, device, tuple(seeds)
        self.num_tasks, self.update_every = num_tasks, config.method.update_every
        self.conflict_every = config.training.conflict_every_updates
        precision = dtype_of(config)
        self.functions = build_functions(config.agent, observation_size, action_size, precision)
        self._parts: tuple[Part, Part] = self.functions.critic, self.functions.actor
        self.critic_layout, self.actor_layout = (Layout(part.init(num_tasks, Generator())) for part in self._parts)
        *self._networks, self.log_alpha = self._first()
        self.critic, self.target = (self.critic_layout.views(flat) for flat in self._networks[:2])
        self.actor = self.actor_layout.views(self._networks[2])
        self.critic_method = _method(config.method, "critic", config.agent.aggregated).to(device)
        self.actor_method = _method(config.method, "actor", config.agent.aggregated).to(device)
        rate, decay = config.agent.learning_rate, config.agent.weight_decay
        self.critic_optimizer, self.actor_optimizer = (
            torch.optim.AdamW([flat], rate, weight_decay=decay, fused=True) for flat in self._networks[::2]
        )
        # beta1 = 0.5 for the temperatures: BRC (Nauman et al. 2025).
        self.temperature_optimizer = torch.optim.Adam([self.log_alpha], rate, betas=(0.5, 0.999), fused=True)
        self.generators = [Generator(device).manual_seed(seed) for seed in self.seeds]
        self.num_updates = 0
        directions = Directions(
            self.functions,
            self.critic_layout,
            self.actor_layout,
            self.critic_method,
            self.actor_method,
            config.agent.max_grad_norm,
        )
        self._as_written = self._compiled = _Functions(directions.critic, directions.actor, directions.critic_losses)
        if config.training.compile:
            cuda_graphs = config.training.cuda_graphs and device.type == "cuda"
            self._compiled = _Functions(*compiled(*self._as_written, cuda_graphs=cuda_graphs))
        self._conflicts = dict.fromkeys(("critic", "actor"), self._no_conflict())
        self._last_critic: ComponentMetrics | None = None
        self._last_actor: tuple[ComponentMetrics, Tensor] | None = None

    @torch.no_grad()
    def act(self, observation: Tensor, noise: Tensor | None = None) -> Tensor:
        """Actions of the policies.

        Args:
            observation: `[S, T, E, O]`.
            noise: standard normal, `[S, T, E, A]`; None for the deterministic action.

        Returns:
            `[S, T, E, A]`, in (-1, 1).
        """

        def of_one_replica(actor: NetworkParameters, observation: Tensor) -> tuple[Tensor, Tensor]:
            lifted = NetworkParameters(by_task(actor.shared, self.num_tasks), actor.own)
            mean, log_std = self.functions.policy({}, lifted, observation)
            return mean, log_std

        mean, log_std = vmap(of_one_replica)(self.actor, observation)
        return (mean if noise is None else mean + log_std.exp() * noise).tanh()

    def actor_function(self, replica: int) -> ActorFunction:
        """The deterministic policy of one replica, as a function of its parameters now."""
        shared, own = ({name: t[replica] for name, t in group.items()} for group in self.actor)
        return ActorFunction(shared, own, self.mean_action)

    def mean_action(self, shared: dict[str, Tensor], own: dict[str, Tensor], observation: Tensor) -> Tensor:
        """See `ActorFunction.action`."""
        return self.functions.gaussian(self.functions.actor({}, shared, own, observation)).mode

    def update(self, batch: Batch) -> Metrics:
        """One update: critics, then (every `actor_every`-th time) actor and temperatures, then targets.

        Args:
            batch: `[S, T, B, ...]`, rewards scaled.

        Returns:
            Metrics; those of the actor are its last update's.
        """
        alpha = self.log_alpha.detach().exp().expand(-1, self.num_tasks)
        critic, target, actor = self._networks
        critic_inputs = critic, Policies(target, actor), batch, alpha, self.noise(batch.action.shape[1:])
        held = self._held(self._last_critic, self.num_updates)
        measure, functions = self._measured(self.critic_method, held, self.num_updates)
        direction, value = functions.critic(*critic_inputs, held, measure)
        self._last_critic = critic_metrics = self._metrics("critic", direction, self.num_updates)
        _step(self.critic_optimizer, critic, direction.gradient)
        if held is None and self.critic_method.needs_update:
            self.critic_method.update(self._now.critic_losses(*critic_inputs))
        if self._last_actor is None or self.num_updates % self.config.actor_every == 0:
            self._last_actor = self._update_actor(batch, alpha)
        with torch.no_grad():
            target.lerp_(critic, self.config.target_rate)
        self.num_updates += 1
        actor_metrics, entropy = self._last_actor
        if self.config.reset_every_updates and self.num_updates % self.config.reset_every_updates == 0:
            self._reset()
        residuals = (_worst_residual(method, value) for method in (self.critic_method, self.actor_method))
        return Metrics(critic_metrics, actor_metrics, value, entropy, alpha, *residuals)

    def set_progress(self, share: float) -> None:
        """Sets the step sizes for a point of the run, `share` of the budget in [0, 1]."""
        rate = self.config.learning_rate_at(share)
        for optimizer in self._optimizers():
            for group in optimizer.param_groups:
                group["lr"] = rate

    def forget_conflicts(self) -> None:
        """What is measured from here on is summed anew."""
        self._conflicts = dict.fromkeys(self._conflicts, self._no_conflict())

    def noise(self, shape: Sequence[int]) -> Tensor:
        """Standard normal numbers of this shape from each replica's own generator, `[S, *shape]`."""
        return torch.stack([torch.randn(*shape, generator=g, device=self.device) for g in self.generators])

    def state_dict(self, replica: int) -> dict[str, Any]:
        """Everything that the next update of one replica depends on, batches aside: as if it had been alone."""
        state: dict[str, Any] = take(self._state(), replica)
        return state | {"generator": self.generators[replica].get_state()}

    def load_state_dict(self, states: Sequence[Mapping[str, Any]]) -> None:
        """Inverse of `state_dict`, one state a replica, all of the same number of updates.

        Raises:
            ValueError: the numbers of updates or of states differ, or a tensor is of another shape or not finite.
        """
        if len(states) != len(self.seeds) or len({state["num_updates"] for state in states}) != 1:
            counts = [state["num_updates"] for state in states]
            raise ValueError(f"needs {len(self.seeds)} states of one number of updates, got {counts}")
        for generator, state in zip(self.generators, states, strict=True):
            generator.set_state(state["generator"].cpu())
        state = join([{k: v for k, v in state.items() if k != "generator"} for state in states], self.device)
        for name, tensor in self._tensors().items():
            copy_checked(name, [tensor], [state["parameters"][name]])
        for optimizer, saved in zip(self._optimizers(), state["optimizers"], strict=True):
            load_optimizer("an optimizer", optimizer, saved)
        for method, saved in zip((self.critic_method, self.actor_method), state["methods"], strict=True):
            method.load_state_dict(saved)
        self.num_updates = whole("num_updates", state["num_updates"])
        self._conflicts = {name: Conflict(*sums) for name, sums in state["conflicts"].items()}
        critic, actor = state["last_critic"], state["last_actor"]  # plain tuples, from a file
        self._last_critic = critic and _component(critic)
        self._last_actor = actor and (_component(actor[0]), actor[1])

    def _state(self) -> dict[str, Any]:
        return {
            "parameters": self._tensors(),
            "optimizers": [optimizer.state_dict() for optimizer in self._optimizers()],
            "methods": [dict(self.critic_method.state_dict()), dict(self.actor_method.state_dict())],
            "num_updates": self.num_updates,
            "conflicts": self._conflicts,
            "last_critic": self._last_critic,
            "last_actor": self._last_actor,
        }

    def _tensors(self) -> dict[str, Tensor]:
        return dict(zip(("critic", "target", "actor", "log_alpha"), (*self._networks, self.log_alpha), strict=True))

    def _optimizers(self) -> tuple[torch.optim.Optimizer, ...]:
        return self.critic_optimizer, self.actor_optimizer, self.temperature_optimizer

    def _first(self, resets: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Critic, target, actor, each `[S, P]`, and logarithms of the temperatures as they begin, or begin anew."""
        flat: tuple[list[Tensor], list[Tensor]] = [], []
        for seed in self.seeds:
            # A reset draws new numbers, decided by the seed alone.
            first = int(np.random.SeedSequence([seed, resets]).generate_state(1)[0]) if resets else seed
            generator = Generator().manual_seed(first)
            for part, layout, vectors in zip(self._parts, (self.critic_layout, self.actor_layout), flat, strict=True):
                vectors.append(layout.flatten(part.init(self.num_tasks, generator)))
        shape = len(self.seeds), self.num_tasks if self.config.temperature == "per_task" else 1
        log_alpha = torch.full(shape, self.config.initial_temperature, device=self.device).log()
        critic, actor = (torch.stack(vectors).to(self.device) for vectors in flat)
        return critic, critic.clone(), actor, log_alpha

    def _reset(self) -> None:
        """Networks, temperatures and optimizers begin anew; what was collected stays (Nikishin et al. 2022)."""
        first = self._first(self.num_updates // self.config.reset_every_updates)
        for tensor, new in zip(self._tensors().values(), first, strict=True):
            tensor.copy_(new)
        for optimizer in self._optimizers():
            optimizer.state.clear()

    @property
    def _now(self) -> "_Functions":
        """The first update gives the methods' states their shapes: compiled before, all would be compiled twice."""
        return self._compiled if self.num_updates else self._as_written

    def _held(self, last: ComponentMetrics | None, count: int) -> Tensor | None:
        """Weights to use once more; None where the method is to be asked."""
        return None if last is None or count % self.update_every == 0 else last.weights

    def _measured(
        self, method: Method | CoordinateMethod, held: Tensor | None, count: int
    ) -> tuple[bool, "_Functions"]:
        """Whether this update has to give a Gram matrix that its method does not ask for, and what computes it.

        That is the function as it is written: rare, and another one to compile.
        """
        asked = held is None and not isinstance(method, LossMethod | CoordinateMethod)
        measure = count % self.conflict_every == 0 and not asked
        return measure, self._as_written if measure else self._now

    def _metrics(self, component: str, direction: Direction, count: int) -> ComponentMetrics:
        if count % self.conflict_every == 0 and direction.gram is not None:
            self._conflicts[component] = self._conflicts[component].add(direction.gram)
        return ComponentMetrics(direction.losses, direction.weights, self._conflicts[component])

    def _no_conflict(self) -> Conflict:
        return Conflict.none(len(self.seeds), self.num_tasks, self.device)

    def _update_actor(self, batch: Batch, alpha: Tensor) -> tuple[ComponentMetrics, Tensor]:
        last = self._last_actor[0] if self._last_actor else None
        count = self.num_updates // self.config.actor_every
        held = self._held(last, count)
        measure, functions = self._measured(self.actor_method, held, count)
        noise = self.noise(batch.action.shape[1:])
        critic, _, actor = self._networks
        direction, entropy = functions.actor(actor, critic, batch.observation, alpha, noise, held, measure)
        _step(self.actor_optimizer, actor, direction.gradient)
        # Haarnoja et al. 2018b, eq. 18, in log(alpha) as every public code has it.
        excess = entropy - self.config.target_entropy
        self.log_alpha.grad = excess if self.config.temperature == "per_task" else excess.mean(-1, keepdim=True)
        self.temperature_optimizer.step()
        return self._metrics("actor", direction, count), entropy


def _method(config: MethodConfig, component: str, aggregated: str) -> Method | CoordinateMethod:
    """The component's method: the mean for one that is not to be aggregated, and for an actor under a method that needs
    positive losses, as in FAMO's published agent."""
    method = aggregation.make(config.name, **config.arguments)
    positive = component == "actor" and method.positive_losses
    return method if aggregated in (component, "both") and not positive else LinearScalarization()


def _worst_residual(method: Method | CoordinateMethod, value: Tensor) -> Tensor:
    """`[S]`, for a value `[S, T]`."""
    if isinstance(method, CoordinateMethod):
        return torch.zeros_like(value[:, 0])
    return method.worst_residual.to(value.device, copy=True).expand(len(value))


def _step(optimizer: torch.optim.Optimizer, parameters: Tensor, gradient: Tensor) -> None:
    parameters.grad = gradient
    optimizer.step()
    parameters.grad = None  # its memory is the next update's, still in the cache


def _component(saved: Sequence[Any]) -> ComponentMetrics:
    loss, weights, conflict = saved
    return ComponentMetrics(loss, weights, Conflict(*conflict))
