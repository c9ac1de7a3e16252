"""Stable-Baselines3's SAC for every task: somebody else's single-task baseline, in the same run.

Networks, losses and optimizers are theirs: an update is their `SAC.train`. Environments, replay, warm-up and schedule
are the run's, so what differs from our agents is the agent alone.

Axes: `S` replicas (one a seed), `T` tasks, `E` environments, `B` batch per task, `O` observation, `A` action.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import gymnasium
import numpy as np
import torch
from stable_baselines3 import SAC
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.type_aliases import ReplayBufferSamples
from stable_baselines3.sac.policies import Actor as TheirActor
from torch import Generator, Tensor
from torch.func import functional_call

from mtrl.agents.config import Config
from mtrl.agents.interface import ActorFunction
from mtrl.agents.losses import Batch
from mtrl.agents.metrics import ComponentMetrics, Conflict, Metrics
from mtrl.agents.normalization import refuse_normalized
from mtrl.agents.seeds import task_seeds
from mtrl.runs.loading import check_finite, whole


class StableBaselines3Learner:
    """`S x T` of their SAC. Arguments and methods are those of `mtrl.agents.Learner`."""

    def __init__(
        self,
        config: Config,
        num_tasks: int,
        observation_size: int,
        action_size: int,
        device: torch.device,
        seeds: Sequence[int],
        action_sizes: Sequence[Sequence[int]] | None = None,
        observed: Sequence[Sequence[int]] | None = None,
    ) -> None:
        """`observed`: the places of the numbers that each task's observation has, where some have not all."""
        self.device, self.num_tasks, self.num_updates, self._config = device, num_tasks, 0, config.agent
        self._rate = config.agent.learning_rate
        # Theirs draw from torch's own generator: each seed's decides what it is seeded with.
        self._generators = [Generator().manual_seed(seed) for seed in seeds]
        self._observation_size = observation_size
        self._observed = observed or [range(observation_size)] * num_tasks
        own = action_sizes or [[action_size] * num_tasks] * len(seeds)
        self._acted = own[0]
        acted = torch.arange(action_size) < torch.tensor(self._acted)[:, None, None]  # [T, 1, A]
        self._mask = acted.float().to(device)
        spaces = [_Spaces(len(seen), size) for seen, size in zip(self._observed, self._acted, strict=True)]
        self.models = [
            [self._model(space, number) for space, number in zip(spaces, task_seeds(seed, num_tasks), strict=True)]
            for seed in seeds
        ]

    @torch.no_grad()
    def act(self, observation: Tensor, noise: Tensor | None = None) -> Tensor:
        """See `Learner`."""
        actions = []
        for models, rows in zip(self.models, observation, strict=True):
            of_tasks = zip(models, rows, self._observed, strict=True)
            outputs = [m.actor.get_action_dist_params(x[..., list(seen)])[:2] for m, x, seen in of_tasks]
            actions.append([_stacked(parts) for parts in zip(*outputs, strict=True)])
        mean, log_std = (torch.stack(parts) for parts in zip(*actions, strict=True))
        return (mean if noise is None else mean + log_std.exp() * noise).tanh() * self._mask

    def actor_function(self, replica: int) -> ActorFunction:
        """See `Learner`; all parameters are some task's own."""
        modules = [_Mean(model.actor) for model in self.models[replica]]
        of_tasks = [self._widened(module, seen) for module, seen in zip(modules, self._observed, strict=True)]
        parameters = {name: _stacked([own[name] for own in of_tasks]) for name in of_tasks[0]}

        def action(_: dict[str, Tensor], parameters: dict[str, Tensor], observation: Tensor) -> Tensor:
            result: Tensor = functional_call(modules[0], parameters, (observation,))
            return result

        return ActorFunction({}, parameters, action)

    def update(self, batch: Batch) -> Metrics:
        """One of their updates of every model; what they do not tell is NaN."""
        for models, generator, *of_seed in zip(self.models, self._generators, *batch, strict=True):
            for model, seen, size, *rows in zip(models, self._observed, self._acted, *of_seed, strict=True):
                batch, places = Batch(*rows), list(seen)
                own = batch._replace(
                    observation=batch.observation[:, places],
                    action=batch.action[:, :size],
                    next_observation=batch.next_observation[:, places],
                )
                self._train(model, own, int(torch.randint(2**62, (), generator=generator)))
        self.num_updates += 1
        temperature = self._gather(lambda model: _log_temperature(model).exp())
        unknown = torch.full_like(temperature, torch.nan)
        critic, actor = (
            ComponentMetrics(
                loss=self._gather(lambda model, name=name: model.logger.name_to_value[f"train/{name}_loss"]),
                weights=torch.ones_like(temperature),
                conflict=Conflict(
                    measurements=torch.ones(len(self.models), device=self.device),
                    gradient_norm=unknown,
                    conflict_rate=torch.zeros(len(self.models), device=self.device),
                    cosines=torch.diag_embed(torch.ones_like(temperature)),
                ),
            )
            for name in ("critic", "actor")
        )
        none = torch.zeros(len(self.models), device=self.device)
        return Metrics(critic, actor, unknown, unknown, temperature, critic_residual=none, actor_residual=none)

    def forget_conflicts(self) -> None:
        """See `Learner`; none is ever measured."""

    def observe(self, observation: Tensor) -> None:
        """See `Learner`."""

    def set_progress(self, share: float) -> None:
        """See `Learner`."""
        self._rate = self._config.learning_rate_at(share)

    def state_dict(self, replica: int) -> dict[str, Any]:
        """Parameters and optimizers of the models of one seed, and its generator."""
        tasks = [
            deepcopy(model.get_parameters()) | {"log_ent_coef": _log_temperature(model).clone()}
            for model in self.models[replica]
        ]
        generator = self._generators[replica].get_state()
        return {"num_updates": self.num_updates, "tasks": tasks, "generator": generator}

    def load_state_dict(self, states: Sequence[Mapping[str, Any]]) -> None:
        """Inverse of `state_dict`, one a seed."""
        refuse_normalized(states)
        for models, generator, state in zip(self.models, self._generators, states, strict=True):
            self.num_updates = whole("num_updates", state["num_updates"])
            generator.set_state(state["generator"])
            for model, saved in zip(models, state["tasks"], strict=True):
                check_finite("a model", saved)
                parameters = {name: part for name, part in saved.items() if name != "log_ent_coef"}
                model.set_parameters(parameters, exact_match=True, device=self.device)
                _log_temperature(model).copy_(saved["log_ent_coef"])

    def _widened(self, module: torch.nn.Module, seen: Sequence[int]) -> dict[str, Tensor]:
        """The parameters of a network for one task, for one that is shown all numbers: the others have weight 0."""
        parameters = {name: tensor.detach() for name, tensor in module.named_parameters()}
        narrow = parameters[_FIRST]
        parameters[_FIRST] = narrow.new_zeros(len(narrow), self._observation_size)
        parameters[_FIRST][:, list(seen)] = narrow
        return parameters

    def _model(self, spaces: "_Spaces", seed: int) -> SAC:
        c = self._config
        action_size = torch.tensor(spaces.action_space.shape[0])
        with _seeded(seed, self.device):
            model = SAC(
                "MlpPolicy",
                spaces,
                learning_rate=lambda _: self._rate,
                buffer_size=1,  # ours is used
                tau=c.target_rate,
                gamma=c.discount,
                ent_coef=f"auto_{c.initial_temperature}",
                target_entropy=float(c.target_entropy_of(action_size)),
                policy_kwargs={
                    "net_arch": {"pi": [c.actor.width] * c.actor.depth, "qf": [c.critic.width] * c.critic.depth}
                },
                device=self.device,
            )
        model.set_logger(Logger(folder=None, output_formats=[]))
        replay: Any = _OneBatch()  # not a subclass of theirs, which would allocate rows
        model.replay_buffer = replay
        return model

    def _train(self, model: SAC, batch: Batch, seed: int) -> None:
        replay: Any = model.replay_buffer
        replay.batch = batch
        with _seeded(seed, self.device):
            model.train(gradient_steps=1, batch_size=len(batch.reward))

    def _gather(self, value: Any) -> Tensor:
        values = [[float(value(model)) for model in models] for models in self.models]
        return torch.tensor(values, device=self.device)


_FIRST = "actor.latent_pi.0.weight"
"""Of the layer that sees the observation."""


def _stacked(tensors: Sequence[Tensor]) -> Tensor:
    """One of each task, `[T, ...]`; shorter ones have zeros behind them."""
    longest = [max(sizes) for sizes in zip(*(tensor.shape for tensor in tensors), strict=True)]
    stacked = tensors[0].new_zeros(len(tensors), *longest)
    for place, tensor in zip(stacked, tensors, strict=True):
        place[tuple(map(slice, tensor.shape))] = tensor
    return stacked


def _log_temperature(model: SAC) -> Tensor:
    """`[1]`, sharing their memory."""
    assert model.log_ent_coef is not None  # it is learned
    return model.log_ent_coef.detach()


class _Spaces(gymnasium.Env[np.ndarray, np.ndarray]):
    """An environment with no more than their constructor reads: the spaces."""

    def __init__(self, observation_size: int, action_size: int) -> None:
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (observation_size,), np.float32)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (action_size,), np.float32)


class _OneBatch:
    """A replay buffer that hands out the batch that was drawn for it, `[B, ...]`."""

    batch: Batch

    def sample(self, batch_size: int, env: object) -> ReplayBufferSamples:
        """Theirs multiply the discount by `1 - dones`; in ours both are one factor."""
        b = self.batch
        reward, discount = b.reward[:, None], b.discount[:, None]
        return ReplayBufferSamples(
            b.observation, b.action, b.next_observation, torch.zeros_like(reward), reward, discount
        )


class _Mean(torch.nn.Module):
    """The deterministic action of their actor."""

    def __init__(self, actor: TheirActor) -> None:
        super().__init__()
        self.actor = actor

    def forward(self, observation: Tensor) -> Tensor:
        mean, _, _ = self.actor.get_action_dist_params(observation)
        return mean.tanh()


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Torch's own generators begin with a seed, and are afterwards as they were."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
