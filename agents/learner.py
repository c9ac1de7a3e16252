"""Multi-task soft actor-critic for several seeds side by side: its state; `Update` moves it.

Axes: `S` replicas (one a seed), `T` tasks, `E` environments, `B` batch per task, `O` observation, `A` action,
`P` parameters.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor, nn

from mtrl.agents.compiling import Compiler
from mtrl.agents.component import Component, Directions
from mtrl.agents.config import Config
from mtrl.agents.direction import TaskDirections, over_replicas
from mtrl.agents.interface import ActorFunction
from mtrl.agents.losses import Batch, soft_actor_critic
from mtrl.agents.metrics import Metrics
from mtrl.agents.networks import Layout, NetworkParameters
from mtrl.agents.networks.parameters import Part
from mtrl.agents.normalization import refuse_normalized
from mtrl.agents.precision import dtype_of
from mtrl.agents.rank_direction import RankDirections
from mtrl.agents.ranks import ALONE, Ranks
from mtrl.agents.replica_states import join, take
from mtrl.agents.seeds import method_seeds
from mtrl.agents.update import Update
from mtrl.runs.loading import copy_checked, load_optimizer, whole

MASK = "action_mask"
"""Among a task's own tensors: 1 for the numbers that its action has and 0 for those behind them, `[A]`."""


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
        seeds: of the replicas; each decides first parameters, noise, exploration and a method's draws of its own.
        action_sizes: the numbers that an action of each task has, `[S][T]`, where some have fewer than `A`.
        ranks: that learn together, each from batches of its own tasks.

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
        action_sizes: Sequence[Sequence[int]] | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        self.config, self.device, self.seeds, self.num_tasks = config.agent, device, tuple(seeds), num_tasks
        self.functions = functions = soft_actor_critic(config.agent, observation_size, action_size, dtype_of(config))
        self._parts: tuple[Part, Part] = functions.critic, functions.actor
        of_critics, of_actor = (part.init(num_tasks, Generator()) for part in self._parts)
        critic, actor = self._layouts = Layout(of_critics, task_axis=1), Layout(of_actor)  # critics are two
        vectors = self._first_values()
        cuda_graphs = config.training.cuda_graphs and device.type == "cuda"
        compile = Compiler(device, cuda_graphs) if config.training.compile else lambda function: function
        directions: Callable[..., Directions] = (
            partial(TaskDirections, compile=compile)
            if ranks.size == 1
            else partial(RankDirections, ranks, num_tasks, compile=compile)
        )
        seeds_of_critic, seeds_of_actor = zip(*map(method_seeds, self.seeds), strict=True)
        rest = config, num_tasks, directions
        self.critic = Component(
            "critic", functions.critic_loss, (critic, critic, actor), vectors["critic"], seeds_of_critic, *rest
        )
        self.actor = Component("actor", functions.actor_loss, (actor, critic), vectors["actor"], seeds_of_actor, *rest)
        self.target, self.log_alpha = vectors["target"], vectors["log_alpha"]
        # beta1 = 0.5 for the temperatures: BRC (Nauman et al. 2025).
        temperature_optimizer = torch.optim.Adam(
            [self.log_alpha], config.agent.learning_rate, betas=(0.5, 0.999), fused=True
        )
        self._optimizers = self.critic.optimizer, self.actor.optimizer, temperature_optimizer
        own = torch.tensor(action_sizes or [[action_size] * num_tasks] * len(self.seeds), device=device)  # [S, T]
        self.is_uniform = bool((own == action_size).all())
        self.action_mask = (torch.arange(action_size, device=device) < own[..., None]).float()  # [S, T, A]
        self._update = Update(
            config.agent,
            self.critic,
            self.actor,
            self.target,
            self.log_alpha,
            temperature_optimizer,
            self.action_mask,
            config.agent.target_entropy_of(own),
        )
        self.generators = [Generator(device).manual_seed(seed) for seed in self.seeds]
        self.num_updates = 0

    @torch.no_grad()
    def act(self, observation: Tensor, noise: Tensor | None = None) -> Tensor:
        """Actions of the policies.

        Args:
            observation: `[S, T, E, O]`.
            noise: standard normal, `[S, T, E, A]`; None for the deterministic action.

        Returns:
            `[S, T, E, A]`, in (-1, 1); 0 behind the numbers of a task's own.
        """

        def of_one_replica(actor: NetworkParameters, observation: Tensor) -> tuple[Tensor, Tensor]:
            mean, log_std = self.functions.policy({}, *actor.of_tasks(self.num_tasks), observation)
            return mean, log_std

        mean, log_std = over_replicas(of_one_replica)(self.actor.parameters, observation)  # [S, T, E, A] each
        return (mean if noise is None else mean + log_std.exp() * noise).tanh() * self.action_mask[:, :, None]

    def actor_function(self, replica: int) -> ActorFunction:
        """The deterministic policy of one replica, as a function of its parameters now."""
        shared, own = ({name: t[replica] for name, t in group.items()} for group in self.actor.parameters)
        return ActorFunction(shared, own | self.padding(slice(replica, replica + 1)), self.mean_action)

    def padding(self, replicas: slice) -> dict[str, Tensor]:
        """What `mean_action` needs of each task where some have shorter actions, `[S T, A]` of these replicas."""
        mask = self.action_mask[replicas].flatten(0, 1)
        return {} if self.is_uniform else {MASK: mask}

    def mean_action(self, shared: dict[str, Tensor], own: dict[str, Tensor], observation: Tensor) -> Tensor:
        """See `ActorFunction.action`."""
        mode = self.functions.gaussian(self.functions.actor({}, shared, own, observation)).mode
        return mode * own[MASK] if MASK in own else mode

    def update(self, batch: Batch) -> Metrics:
        """One update: critics, then (every `actor_every`-th time) actor and temperatures, then targets.

        Args:
            batch: `[S, T, B, ...]`, rewards scaled; over ranks of this one's tasks.

        Returns:
            Metrics of all tasks; those of the actor are its last update's.
        """
        # Before the update, not after the last one: no run ends with networks that have learned nothing.
        every = self.config.reset_every_updates
        if every and self.num_updates and self.num_updates % every == 0:
            self._reset()
        metrics = self._update(batch, self.noise, self.num_updates)
        self.num_updates += 1
        return metrics

    def noise(self, shape: Sequence[int]) -> Tensor:
        """Standard normal numbers of this shape from each replica's own generator, `[S, *shape]`."""
        return torch.stack(
            [torch.randn(*shape, generator=g, device=self.device, dtype=torch.float32) for g in self.generators]
        )

    def observe(self, observation: Tensor) -> None:
        """Observations are taken as they are: nothing is to be noted of them."""

    def set_progress(self, share: float) -> None:
        """Sets the step sizes for a point of the run, `share` of the budget in [0, 1]."""
        rate = self.config.learning_rate_at(share)
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate

    def forget_conflicts(self) -> None:
        """Sums anew what is measured of the gradients' conflicts."""
        self.critic.forget_conflicts()
        self.actor.forget_conflicts()

    def state_dict(self, replica: int) -> dict[str, Any]:
        """Everything that the next update of one replica depends on, batches aside: as if it had been alone."""
        state = {
            "parameters": self.tensors(),
            "optimizers": [optimizer.state_dict() for optimizer in self._optimizers],
            "methods": [dict(component.method.state_dict()) for component in (self.critic, self.actor)],
            "num_updates": self.num_updates,
            "conflicts": {"critic": self.critic.conflict, "actor": self.actor.conflict},
            "last_critic": self.critic.last and self.critic.last.metrics,
            "last_actor": self.actor.last and tuple(self.actor.last),
        }
        own: dict[str, Any] = take(state, replica)
        return own | {"generator": self.generators[replica].get_state()}

    def load_state_dict(self, states: Sequence[Mapping[str, Any]]) -> None:
        """Inverse of `state_dict`, one state a replica, all of the same number of updates.

        Raises:
            ValueError: the numbers of updates or of states differ, a tensor is of another shape or not finite, or the
                states are of normalised observations.
        """
        refuse_normalized(states)
        if len(states) != len(self.seeds) or len({state["num_updates"] for state in states}) != 1:
            counts = [state["num_updates"] for state in states]
            raise ValueError(f"needs {len(self.seeds)} states of one number of updates, got {counts}")
        for generator, state in zip(self.generators, states, strict=True):
            generator.set_state(state["generator"].cpu())
        methods = [component.method for component in (self.critic, self.actor)]
        parts = [
            {name: value for name, value in state.items() if name != "generator"}
            | {"methods": [_of_a_replica(*both) for both in zip(methods, state["methods"], strict=True)]}
            for state in states
        ]
        state = join(parts, self.device)
        for name, tensor in self.tensors().items():
            copy_checked(name, [tensor], [state["parameters"][name]])
        for optimizer, saved in zip(self._optimizers, state["optimizers"], strict=True):
            load_optimizer("an optimizer", optimizer, saved)
        for method, saved in zip(methods, state["methods"], strict=True):
            method.load_state_dict(saved)
        self.num_updates = whole("num_updates", state["num_updates"])
        # Plain tuples, from a file. Nobody asks for the critics' last values: every update tells new ones.
        critic, actor = state["last_critic"], state["last_actor"]
        self.critic.restore(state["conflicts"]["critic"], critic and (critic, torch.full_like(critic[0], torch.nan)))
        self.actor.restore(state["conflicts"]["actor"], actor)

    def tensors(self) -> dict[str, Tensor]:
        """All that is learned, by name: parameters `[S, P]`, logarithms of the temperatures `[S, T or 1]`."""
        return {
            "critic": self.critic.vector,
            "target": self.target,
            "actor": self.actor.vector,
            "log_alpha": self.log_alpha,
        }

    def _first_values(self, resets: int = 0) -> dict[str, Tensor]:
        """First values of `tensors`, or those after so many resets."""
        flat: tuple[list[Tensor], list[Tensor]] = [], []
        for seed in self.seeds:
            # A reset draws new numbers, decided by the seed alone.
            first = int(np.random.SeedSequence([seed, resets]).generate_state(1)[0]) if resets else seed
            generator = Generator().manual_seed(first)
            for part, layout, vectors in zip(self._parts, self._layouts, flat, strict=True):
                vectors.append(layout.flatten(part.init(self.num_tasks, generator)))
        shape = len(self.seeds), self.num_tasks if self.config.temperature == "per_task" else 1
        log_alpha = torch.full(shape, self.config.initial_temperature, device=self.device, dtype=torch.float32).log()
        critic, actor = (torch.stack(vectors).to(self.device) for vectors in flat)
        return {"critic": critic, "target": critic.clone(), "actor": actor, "log_alpha": log_alpha}

    def _reset(self) -> None:
        """All that learns begins anew; what was collected, and random streams, go on (Nikishin et al. 2022)."""
        first = self._first_values(self.num_updates // self.config.reset_every_updates)
        for name, tensor in self.tensors().items():
            tensor.copy_(first[name])
        for optimizer in self._optimizers:
            optimizer.state.clear()
        for component in (self.critic, self.actor):
            component.method.forget()


def _of_a_replica(method: nn.Module, saved: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A method's state with the axis of replicas, which keys of random numbers had not until 0.2.0: all had one."""
    axes = {name: buffer.ndim for name, buffer in method.named_buffers()}
    return {name: x.reshape(1) if x.ndim == 0 and axes.get(name) == 1 else x for name, x in saved.items()}
