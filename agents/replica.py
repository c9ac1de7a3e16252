"""One seed of a training: its environments, exploration, reward scale, and its folder.

Axes: `T` tasks, `E` environments, `O` observation, `A` action.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtrl import envs
from mtrl.agents import events
from mtrl.agents.config import Config
from mtrl.agents.environments import evaluation_env, shown_horizon, training_env
from mtrl.agents.evaluation import Policy, evaluate_policy
from mtrl.agents.exploration import CorrelatedNoise
from mtrl.agents.finite_steps import check_observation, check_step
from mtrl.agents.metrics import Metrics
from mtrl.agents.ranks import ALONE, Ranks
from mtrl.agents.recent_episodes import RecentEpisodes
from mtrl.agents.replica_states import take
from mtrl.agents.reward_scale import make_reward_scale
from mtrl.agents.scores import score_means
from mtrl.agents.seeds import streams
from mtrl.runs.events import ScoreMeans, Told, Train
from mtrl.runs.folder import MetricsLog


class Replica:
    """Environments, random streams, reward scale, recent episodes and log of one seed; networks and replay are of all.

    Args:
        config: of the run.
        seed: decides goals, networks, exploration and batches.
        folder: of the run; None for one that writes nothing.
        device: of the learner.
        cores: for its simulators.
        ranks: that train together, each with the simulators of its tasks.
    """

    def __init__(
        self,
        config: Config,
        seed: int,
        folder: Path | None,
        device: torch.device,
        cores: int,
        ranks: Ranks = ALONE,
    ) -> None:
        self.config, self.seed, self.folder, self.cores, self._ranks = config, seed, folder, cores, ranks
        self.agent_seed, batch_seed, noise_seed = streams(seed)
        self.env = training_env(config.env, seed, cores, ranks.peers)
        num_tasks, num_envs = len(self.env.tasks), config.env.num_envs_per_task
        self.batches = torch.Generator(device).manual_seed(batch_seed)
        shape = (num_tasks, num_envs, self.env.action_size)
        self.noise = CorrelatedNoise(shape, config.agent.noise_correlation, device, noise_seed)
        self.scale = make_reward_scale(config.agent, num_tasks, num_envs)
        self.recent = RecentEpisodes(num_tasks)
        self.observation = np.empty(0)
        self.ended = np.empty(0, bool)  # [T, E], whose episodes the last step has ended
        self._parts: dict[str, Any] = {"noise": self.noise, "scale": self.scale, "recent": self.recent}

    def begin(self, state: dict[str, Any] | None) -> None:
        """Reset the environments, or bring everything where a checkpoint has it."""
        if state is None:
            self.observation = self.env.reset()
            check_observation(self.env.tasks, self.observation)
        else:
            for name, part in self._parts.items():
                part.load_state_dict(state[name])
            self.batches.set_state(state["batches"])
            self.observation = self.env.load_state_dict(state["env"])

    def announce(self, device: torch.device, on_event: Told, step: int | None) -> None:
        """Write the start event: of a run that begins, or goes on from a step."""
        keep = -1 if step is None else step
        in_folder = None if self.folder is None else MetricsLog(self.folder / "metrics.jsonl", keep, on_event)
        self._write = in_folder.write if in_folder else on_event
        started = events.start(self.env, self.seed, device, self.config.training.precision, step or 0)
        self._write({**started, "ranks": self._ranks.size} if self._ranks.size > 1 else started)

    def recv(self) -> tuple[np.ndarray, envs.Step]:
        """Wait for the environments; what was seen before the step, and the step.

        Raises:
            StepError: a reward or an observation is not finite.
        """
        before, step = self.observation, self.env.recv()
        check_step(self.env.tasks, step)
        self.scale.add(step.reward, step.episode_length == 1, step.done)
        self.recent.add(step)
        self.observation, self.ended = step.obs, step.done
        return before, step

    def score_means(self) -> ScoreMeans:
        """Means over tasks of the training episodes' any-step success, or returns; None before the first has ended."""
        return score_means(self.env.infos, self.env.horizon, self.recent.success(), self.recent.mean_return())

    def task_success(self) -> dict[str, float | None]:
        """The training episodes' any-step success, of the tasks that tell of it; None before the first has ended."""
        rates = zip(self.env.infos, self.recent.success(), strict=True)
        return {info.name: rate for info, rate in rates if info.has_success}

    def task_returns(self) -> dict[str, float | None]:
        """The training episodes' undiscounted returns, of the other tasks; None before the first has ended."""
        returns = zip(self.env.infos, self.recent.mean_return(), strict=True)
        return {info.name: value for info, value in returns if not info.has_success}

    def log_train(self, counters: Train, metrics: Metrics | None, index: int) -> None:
        """Write how training stands, with this replica's part of the metrics."""
        own = None if metrics is None else take(metrics, index)
        env, factor = self.env, self.scale.factor()
        self._write(events.train({**counters, **self.score_means()}, env.infos, env.horizon, self.recent, factor, own))

    def log_evaluation(self, step: int, wall_s: float, policy: Policy) -> None:
        """Evaluate a policy and write how it does."""
        episodes = self.config.training.eval_episodes
        with evaluation_env(self.config, self.seed, episodes, self.cores, peers=self._ranks.peers) as env:
            result, horizon = evaluate_policy(policy, env, episodes), shown_horizon(env.infos, env.horizon)
        self._write(events.evaluation(step, wall_s, horizon, episodes, result))

    def state_dict(self) -> dict[str, Any]:
        """Its part of a checkpoint."""
        own: dict[str, Any] = {name: part.state_dict() for name, part in self._parts.items()}
        return own | {"batches": self.batches.get_state(), "env": self.env.state_dict()}


def stack_noise(replicas: list[Replica], uniform: bool) -> Tensor:
    """The next step's exploration noise of all, `[S, T, E, A]`."""
    return torch.stack([r.noise.next_uniform() if uniform else r.noise.next() for r in replicas])
