"""The training loop: simulate and learn at once, log, checkpoint, resume.

Axes: `T` tasks, `E` environments, `O` observation, `A` action. A step is one environment transition, summed over tasks.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import envs
from agents import events
from agents.config import Config
from agents.environments import evaluation_env, training_env
from agents.evaluation import EvaluationResult, deterministic_policy, evaluate_policy
from agents.exploration import CorrelatedNoise
from agents.recent_episodes import RecentEpisodes
from agents.replay import Replay
from agents.reward_scale import ReturnScale
from agents.sac import Metrics, MultiTaskSAC
from mtrl.runs import checkpoint, devices
from mtrl.runs.errors import UserError
from mtrl.runs.folder import MetricsLog, check_same, disk_errors, save_config
from mtrl.runs.stop_signals import stop_signals

PROGRESS_EVERY_S = 0.5
RATE_WINDOW = 20  # progress events that the rates shown are taken over

Listener = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class TrainResult:
    """How a call of `train` ended."""

    folder: Path
    step: int
    updates: int
    complete: bool
    """The budget of steps is spent."""
    interrupted: bool
    """A signal asked to stop; a checkpoint was written."""


def train(
    config: Config, seed: int, folder: Path, *, resume: bool = False, on_event: Listener = lambda event: None
) -> TrainResult:
    """Trains one seed in a run folder, or goes on with it.

    Interrupted (SIGINT, SIGTERM), it finishes the vector step, writes a checkpoint and returns.

    Args:
        config: of the run.
        seed: one of the run's.
        folder: of the seed; made here.
        resume: continue from the newest checkpoint if the folder holds a run; without it, an existing run is an error.
        on_event: told of every line of `metrics.jsonl`, and of progress twice a second.

    Raises:
        UserError: the run exists, was made with another config, its checkpoint is damaged, the device is not there,
            a loss is not finite, or the disk is full. What was written before stays.
    """
    device = devices.choose(config.device)
    try:  # before anything is written
        envs.task_names(config.env.tasks)
    except ValueError as error:
        raise UserError(str(error)) from error
    started = (folder / "config.yaml").exists()
    if started and not resume:
        raise UserError(
            f"run {folder} exists and is never overwritten: add --resume, or choose another --name or --out"
        )
    if started:
        check_same(folder, config, seed)
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        state = checkpoint.load_newest(folder / "checkpoints") if checkpoint.exists(folder / "checkpoints") else None
        if state is not None and state["step"] >= config.steps:
            return TrainResult(folder, state["step"], state["agent"]["num_updates"], complete=True, interrupted=False)
        save_config(folder, config, seed)
        torch.set_num_threads(config.training.threads or max(1, devices.available_cores() - 1))
        with _Training(config, seed, folder, device, state, on_event) as training, stop_signals() as stop:
            while training.step < config.steps and not stop:
                training.vector_step()
            training.save()
            complete = training.step >= config.steps
            return TrainResult(folder, training.step, training.agent.num_updates, complete, interrupted=not complete)


class _Training:
    """A run in progress."""

    def __init__(
        self,
        config: Config,
        seed: int,
        folder: Path,
        device: torch.device,
        state: dict[str, Any] | None,
        on_event: Listener,
    ) -> None:
        self.config, self.seed, self.folder, self.device = config, seed, folder, device
        self.on_event = on_event
        self.env = training_env(config.env, seed)
        self.num_tasks = len(self.env.tasks)
        sizes = self.env.observation_size, self.env.action_size
        agent_seed, batch_seed, noise_seed = (
            int(stream.generate_state(1)[0]) for stream in np.random.SeedSequence(seed).spawn(3)
        )
        self.agent = MultiTaskSAC(config, self.num_tasks, *sizes, device, agent_seed)
        num_envs = config.env.num_envs_per_task
        self.replay = Replay(self.num_tasks, config.training.replay_capacity_per_task, num_envs, *sizes, device)
        self.batches = torch.Generator(device).manual_seed(batch_seed)
        shape = (self.num_tasks, num_envs, self.env.action_size)
        self.noise = CorrelatedNoise(shape, config.agent.noise_correlation, device, noise_seed)
        self.scale = ReturnScale(self.num_tasks, num_envs, config.agent.discount)
        self.recent = RecentEpisodes(self.num_tasks)
        self.step, self.wall_s = 0, 0.0
        self.observation = self.env.reset() if state is None else self._load(state)
        self.metrics: Metrics | None = None
        self.clock = self.last_progress = time.monotonic()
        self.marks: deque[tuple[int, int, float]] = deque(maxlen=RATE_WINDOW)
        self.log = MetricsLog(folder / "metrics.jsonl", -1 if state is None else self.step, on_event)
        self.logged = (self.step, self.agent.num_updates, self.wall_s)
        self.saved_step = None if state is None else self.step
        self.log.write(events.start(self.env, seed, device, self.step))

    def __enter__(self) -> "_Training":
        return self

    def __exit__(self, *exception: object) -> None:
        self.env.close()

    def vector_step(self) -> None:
        """One step of every environment, and the updates that go with it while the simulator works."""
        warm = self.step >= self.config.training.warmup_steps
        if warm:
            observation = torch.as_tensor(self.observation, dtype=torch.float32).to(self.device)
            action = self.agent.act(observation, self.noise.next()).cpu().numpy()
        else:
            action = self.noise.next_uniform().cpu().numpy()
        self.env.send(action)
        if warm and len(self.replay):
            self._update()
        result = self.env.recv()
        self.replay.add(self.observation, action, result.reward, result.next_obs, result.terminated)
        self.scale.add(result.reward, result.done)
        self.recent.add(result)
        self.observation = result.obs
        previous, self.step = self.step, self.step + result.reward.size
        self._after_step(previous)

    def save(self) -> None:
        """Writes a checkpoint, unless this step has one."""
        if self.saved_step == self.step:
            return
        state = {
            "step": self.step,
            "wall_s": self._now(),
            "agent": self.agent.state_dict(),
            "replay": self.replay.state_dict(),
            "batches": self.batches.get_state(),
            "noise": self.noise.state_dict(),
            "scale": self.scale.state_dict(),
            "recent": self.recent.state_dict(),
            "env": self.env.state_dict(),
        }
        checkpoint.save(self.folder / "checkpoints", self.step, state)
        self.saved_step = self.step

    def _load(self, state: dict[str, Any]) -> np.ndarray:
        self.step, self.wall_s = state["step"], state["wall_s"]
        self.agent.load_state_dict(state["agent"])
        self.replay.load_state_dict(state["replay"])
        self.batches.set_state(state["batches"])
        self.noise.load_state_dict(state["noise"])
        self.scale.load_state_dict(state["scale"])
        self.recent.load_state_dict(state["recent"])
        return self.env.load_state_dict(state["env"])

    def _update(self) -> None:
        settings = self.config.training
        if settings.compile and self.metrics is None:
            self.on_event({"kind": "note", "text": "compiling the update, which takes half a minute"})
        scaled = self.config.agent.reward_scaling == "return"
        factor = self.scale.factor(self.config.agent.value_limit) if scaled else np.ones(self.num_tasks)
        scale = torch.as_tensor(factor, dtype=torch.float32).to(self.device)[:, None]
        self.agent.set_progress(min(1.0, self.step / self.config.steps))
        for _ in range(settings.updates_per_vector_step):
            batch = self.replay.sample(settings.batch_per_task, self.batches)
            self.metrics = self.agent.update(batch._replace(reward=batch.reward * scale))
        self._check_finite()

    def _check_finite(self) -> None:
        assert self.metrics is not None
        for component in ("critic", "actor"):
            loss = getattr(self.metrics, component).loss
            if not bool(torch.isfinite(loss).all()):
                task = self.env.tasks[int((~torch.isfinite(loss)).nonzero()[0, 0])]
                kept = (
                    "no checkpoint was written yet"
                    if self.saved_step is None
                    else f"the last checkpoint, of step {self.saved_step}, is kept"
                )
                raise UserError(
                    f"the {component} loss of task {task} is not finite at step {self.step}: stopped; {kept}"
                )

    def _after_step(self, previous: int) -> None:
        settings = self.config.training

        def due(every: int) -> bool:
            return bool(every) and (self.step // every > previous // every or self.step >= self.config.steps)

        if due(settings.log_every_steps):
            counters = self._counters(self.logged)
            self.logged = (self.step, self.agent.num_updates, self._now())
            self.log.write(events.train(counters, self.env.tasks, self.recent, self.scale.largest, self.metrics))
        if due(settings.eval_every_steps) and self.step < self.config.steps:
            result, horizon = self._evaluate(), self.config.evaluation.horizon
            self.log.write(events.evaluation(self.step, self._now(), horizon, settings.eval_episodes, result))
        if due(settings.checkpoint_every_steps):
            self.save()
        if time.monotonic() - self.last_progress >= PROGRESS_EVERY_S:
            self.last_progress = time.monotonic()
            self.marks.append((self.step, self.agent.num_updates, self._now()))
            self.on_event({"kind": "progress", "steps": self.config.steps, **self._counters(self.marks[0])})

    def _now(self) -> float:
        return self.wall_s + time.monotonic() - self.clock

    def _counters(self, since: tuple[int, int, float]) -> dict[str, Any]:
        step, updates, wall_s = since
        elapsed = max(self._now() - wall_s, 1e-9)
        rates = [rate for rate in self.recent.success() if rate is not None]
        return {
            "step": self.step,
            "updates": self.agent.num_updates,
            "wall_s": self._now(),
            "steps_per_s": (self.step - step) / elapsed,
            "updates_per_s": (self.agent.num_updates - updates) / elapsed,
            "success_mean": float(np.mean(rates)) if rates else None,
        }

    def _evaluate(self) -> EvaluationResult:
        episodes = self.config.training.eval_episodes
        with evaluation_env(self.config, self.seed, episodes) as env:
            return evaluate_policy(deterministic_policy(self.agent, self.device), env, episodes)
