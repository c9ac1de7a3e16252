"""The training loop: simulate and learn at once, log, checkpoint, resume; several seeds side by side.

Axes: `S` replicas (one a seed), `T` tasks, `E` environments, `O` observation, `A` action. A step is one environment
transition, summed over tasks, of one replica.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mtrl import envs
from mtrl.agents import preflight
from mtrl.agents.config import Config
from mtrl.agents.environments import training_workers
from mtrl.agents.evaluation import deterministic_policy
from mtrl.agents.factory import make_learner
from mtrl.agents.metrics import Metrics
from mtrl.agents.pace import budget
from mtrl.agents.replay import Replay
from mtrl.agents.replica import Replica, stack_noise
from mtrl.agents.run_precision import settled
from mtrl.agents.standing import EVALUATING, LOADING, SAVING, STARTING, Standing, phase_event
from mtrl.agents.stopwatch import Stopwatch
from mtrl.cores import available_cores
from mtrl.protocols import MODERN
from mtrl.runs import checkpoint, devices
from mtrl.runs.errors import UserError
from mtrl.runs.events import Listener, Progress, Told, Train
from mtrl.runs.folder import check_may_train, disk_errors, save_config
from mtrl.runs.identity import identity
from mtrl.runs.loading import whole
from mtrl.runs.lock import locked
from mtrl.runs.stop_signals import stop_signals


@dataclass(frozen=True)
class TrainResult:
    """How a call of `train` ended."""

    step: int
    """Of the replica that got least far."""
    updates: int
    complete: bool
    """The budget of steps is spent, by all."""
    interrupted: bool
    """A signal asked to stop; a checkpoint was written."""


def train(
    config: Config,
    folders: Mapping[int, Path],
    *,
    resume: bool = False,
    cores: int | None = None,
    on_event: Listener = lambda event, seed: None,
) -> TrainResult:
    """Trains seeds side by side, each in a run folder of its own, or goes on with them.

    Interrupted (SIGINT, SIGTERM), it finishes the vector step, writes checkpoints and returns. Runs that are resumed
    and stand at different steps go on one group after the other.

    Args:
        config: of the runs.
        folders: by seed; made here.
        resume: continue from the newest checkpoint where a folder holds a run; without it, that is an error.
        cores: of this process's own, where others like it train beside it: it learns with one thread then; None if it
            has them all, and learns with all but one. `training.threads` decides where it is set.
        on_event: told of every line of `metrics.jsonl`, of phases, and of progress twice a second.

    Raises:
        UserError: a run exists, was made with another config, its checkpoint is damaged, the device is not there,
            a loss is not finite, a simulator was killed, or the disk is full. What was written before stays.
    """
    device = check(config, folders, resume)
    for text in preflight.notes(config):
        on_event({"kind": "note", "text": text}, None)
    torch.set_num_threads(config.training.threads or (max(1, available_cores() - 1) if cores is None else 1))
    config, line = settled(config, folders, device)
    if line:
        on_event({"kind": "note", "text": line}, None)
    results = []
    with stop_signals() as stop:
        for step, seeds in _groups(config, folders):
            group = {seed: folders[seed] for seed in seeds}
            results.append(_train_group(config, group, step, device, cores, on_event, stop))
            if results[-1].interrupted:
                break
    first = min(results, key=lambda result: result.step)
    return TrainResult(first.step, first.updates, all(r.complete for r in results), any(r.interrupted for r in results))


def check(config: Config, folders: Mapping[int, Path], resume: bool) -> torch.device:
    """The device, if runs may be trained; see `train`. Nothing is written.

    Raises:
        UserError: a run exists, was made with another config, there is no such task or no such device.
        ModuleNotFoundError: names the extra that is missing.
    """
    device = devices.choose(config.device)
    preflight.check(config, seeds_per_process(config, device, len(folders)))
    for seed, folder in folders.items():
        check_may_train(folder, config, seed, resume)
    return device


def seeds_per_process(config: Config, device: torch.device, num_seeds: int) -> int:
    """Seeds of a run that train in one process: as the configuration says, else all on a GPU and one on a CPU."""
    return min(config.training.seeds_at_once or (num_seeds if device.type == "cuda" else 1), num_seeds)


def _groups(config: Config, folders: Mapping[int, Path]) -> list[tuple[int | None, list[int]]]:
    """The seeds that can go on together, with the step of the checkpoint that they go on from; None for none."""
    kept = {seed: checkpoint.steps(folder / "checkpoints") for seed, folder in folders.items()}
    newest = {seed: max(steps, default=None) for seed, steps in kept.items()}
    unfinished = [seed for seed, step in newest.items() if step is None or step < config.steps]
    # Killed while it wrote the checkpoints, some have one more than others: all go on from the last common one.
    common = set.intersection(*(set(kept[seed]) for seed in unfinished)) if unfinished else set()
    starts = {seed: max(common) if common and seed in unfinished else step for seed, step in newest.items()}
    return [(step, [seed for seed in folders if starts[seed] == step]) for step in dict.fromkeys(starts.values())]


def _train_group(
    config: Config,
    folders: Mapping[int, Path],
    step: int | None,
    device: torch.device,
    cores: int | None,
    on_event: Listener,
    stop: Sequence[int],
) -> TrainResult:
    with ExitStack() as stack:
        for folder in folders.values():
            stack.enter_context(disk_errors(folder))
        if step is not None:
            on_event(phase_event(LOADING), None)
        states = [
            checkpoint.load(folder / "checkpoints", step, config.of_seed(seed))
            for seed, folder in folders.items()
            if step is not None
        ]
        if states and step is not None and step >= config.steps:
            updates = states[0]["agent"]["num_updates"]
            return TrainResult(step, updates, complete=True, interrupted=False)
        # Whatever is wrong with the configuration is found before anything is written.
        training = stack.enter_context(Training(config, folders, device, on_event, cores))
        for seed, folder in folders.items():
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(folder))
            save_config(folder, config, seed)
        try:
            training.begin(states, next(iter(folders.values())) / "checkpoints")
            training.run(config.steps, lambda: not stop)
        except envs.SimulatorError as error:
            raise UserError(f"{error} at step {training.step}: stopped; {training.kept}") from error
        training.save()
        complete = training.step >= config.steps
        return TrainResult(training.step, training.learner.num_updates, complete, interrupted=not complete)


class Training:
    """Runs in progress, in lock step; `begin` comes first, and closing it ends the simulators.

    Args:
        config: of the runs.
        folders: by seed; where metrics and checkpoints are written, None for nowhere.
        device: of networks and replay.
        on_event: told of every event.
        cores: for simulators; all by default.
    """

    def __init__(
        self,
        config: Config,
        folders: Mapping[int, Path | None],
        device: torch.device,
        on_event: Listener,
        cores: int | None = None,
    ) -> None:
        self.config, self.device, self.on_event = config, device, on_event
        cores = cores or available_cores()
        parts = budget(config, len(folders), training_workers(config.env, cores) or cores, cores)
        self.standing = Standing(parts, config.training.compile, lambda event: on_event(event, None))
        self.replicas: list[Replica] = []
        with (
            self.standing.timing(STARTING, self.standing.pace.started),
            ExitStack() as opened,  # closed again if one cannot be opened
        ):
            for seed, folder in folders.items():
                self.replicas.append(Replica(config, seed, folder, device, cores))
                opened.callback(self.replicas[-1].env.close)
            self._stack = opened.pop_all()
        env = self.replicas[0].env
        self.tasks = env.tasks
        sizes = env.observation_size, env.action_size
        self.learner = make_learner(config, len(self.tasks), *sizes, device, [r.agent_seed for r in self.replicas])
        self.replay = Replay(
            len(self.replicas),
            len(self.tasks),
            config.training.replay_capacity_per_task,
            config.env.num_envs_per_task,
            *sizes,
            device,
            config.agent.discount,
            config.agent.n_step,
        )
        self.step, self.wall_s = 0, 0.0
        self.metrics: Metrics | None = None
        self.saved_step: int | None = None
        self.clock = self.saved_at = time.monotonic()
        self.stopwatch = Stopwatch()
        self.logged = (0, 0, 0.0)

    def begin(self, states: Sequence[dict[str, Any]], place: Path = Path("what was saved")) -> None:
        """Resets the environments, or brings everything where it was saved; then tells that it starts.

        Args:
            states: of checkpoints (`state`) to go on from, one a seed; none to begin.
            place: where they are from, for messages.

        Raises:
            UserError: a state does not fit, or is damaged.
        """
        if states:
            with checkpoint.taking(place):
                self.step = whole("step", states[0]["step"])
                self.wall_s = max(float(state["wall_s"]) for state in states)
                self.learner.load_state_dict([state["agent"] for state in states])
                self.replay.load_state_dict([state["replay"] for state in states])
                self.standing.pace.load_state_dict(states[0].get("pace", {}))
            self.saved_step = self.step
        for index, replica in enumerate(self.replicas):
            with checkpoint.taking(place, envs.SimulatorError):
                replica.begin(states[index] if states else None)
            replica.announce(self.device, self._listener(replica.seed), self.step if states else None)
        self.clock = self.saved_at = time.monotonic()
        self.logged = (self.step, self.learner.num_updates, self.wall_s)

    def __enter__(self) -> "Training":
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def run(self, until_step: int, goes_on: Callable[[], bool]) -> None:
        """Vector steps until a step is reached, or until `goes_on()`, asked after each, is false.

        Time between two calls does not count.
        """
        self.clock = time.monotonic()
        while self.step < until_step:
            self.vector_step()
            if not goes_on():
                break
        self.wall_s, self.clock = self._now(), time.monotonic()

    def vector_step(self) -> None:
        """One step of every environment, and the updates that go with it while the simulators work."""
        learns = self.step >= self.config.training.warmup_steps and len(self.replay) > 0
        with self.standing.vector_step(self.config.training.updates_per_vector_step if learns else 0):
            previous = self._simulate_and_learn()
        self._after_step(previous)

    def _simulate_and_learn(self) -> int:
        """A vector step; the step before it."""
        warm = self.step >= self.config.training.warmup_steps
        with self.stopwatch.timing("act"):
            noise = stack_noise(self.replicas, uniform=not warm)
            if warm:
                observation = np.stack([replica.observation for replica in self.replicas])
                noise = self.learner.act(torch.as_tensor(observation, dtype=torch.float32).to(self.device), noise)
            action = noise.cpu().numpy()  # on a GPU this waits for the updates before it
            for replica, own in zip(self.replicas, action, strict=True):
                replica.env.send(own)
        if warm and len(self.replay):
            with self.stopwatch.timing("update"):
                self._update()
        with self.stopwatch.timing("wait"):
            before, steps = zip(*(replica.recv() for replica in self.replicas), strict=True)
        with self.stopwatch.timing("store"):
            fields = ("reward", "next_obs", "terminated", "done")
            rows = (np.stack([getattr(step, field) for step in steps]) for field in fields)
            self.replay.add(np.stack(before), action, *rows)
        previous, self.step = self.step, self.step + steps[0].reward.size
        return previous

    @property
    def kept(self) -> str:
        """What is left if it ends now, in words."""
        if self.saved_step is None:
            return "no checkpoint was written yet"
        return f"the last checkpoint, of step {self.saved_step}, is kept: --resume goes on from it"

    def save(self) -> None:
        """Writes the checkpoints, unless this step has them or there are no folders."""
        self.saved_at = time.monotonic()
        if self.saved_step == self.step:
            return
        with self.standing.timing(SAVING, self.standing.pace.saved):
            for index, replica in enumerate(self.replicas):
                if replica.folder is not None:
                    run = identity(self.config, replica.seed)
                    checkpoint.save(replica.folder / "checkpoints", self.step, self.state(index), run)
                    self.saved_step = self.step

    def state(self, index: int) -> dict[str, Any]:
        """All that a replica goes on from: what a checkpoint holds."""
        learner, replay = self.learner.state_dict(index), self.replay.state_dict(index)
        state = {"step": self.step, "wall_s": self._now(), "agent": learner, "replay": replay}
        state["pace"] = self.standing.pace.state_dict()
        return state | self.replicas[index].state_dict()

    def _listener(self, seed: int) -> Told:
        return lambda event: self.on_event(event, seed)

    def _update(self) -> None:
        settings = self.config.training
        factor = np.stack([replica.scale.factor() for replica in self.replicas])
        scale = torch.as_tensor(factor, dtype=torch.float32).to(self.device)[..., None]
        self.learner.set_progress(min(1.0, self.step / self.config.steps))
        generators = [replica.batches for replica in self.replicas]
        for _ in range(settings.updates_per_vector_step):
            batch = self.replay.sample(settings.batch_per_task, generators)
            self.metrics = self.learner.update(batch._replace(reward=batch.reward * scale))
        self._check_finite()

    def _check_finite(self) -> None:
        assert self.metrics is not None
        for component in ("critic", "actor"):
            loss = getattr(self.metrics, component).loss
            if not bool(torch.isfinite(loss).all()):
                index, task = (~torch.isfinite(loss)).nonzero()[0].tolist()
                where = f"task {self.tasks[task]}, seed {self.replicas[index].seed},"
                what = f"the {component} loss of {where} is not finite at step {self.step}"
                raise UserError(f"{what}: stopped; {self.kept}")

    def _after_step(self, previous: int) -> None:
        settings = self.config.training

        def due(every: int) -> bool:
            at_the_end = previous < self.config.steps <= self.step
            return bool(every) and (self.step // every > previous // every or at_the_end)

        if due(settings.log_every_steps):
            counters = self._counters(self.logged) | {"time_share": self.stopwatch.shares()}
            self.logged = (self.step, self.learner.num_updates, self._now())
            for index, replica in enumerate(self.replicas):
                replica.log_train(counters, self.metrics, index)
            self.learner.forget_conflicts()
        apart = self.step >= self.config.steps and self.config.evaluation.protocol == MODERN  # is its own evaluation
        if due(settings.eval_every_steps) and not apart:
            with (
                self.stopwatch.timing("evaluate"),
                self.standing.timing(EVALUATING, self.standing.pace.evaluated),
            ):
                for index, replica in enumerate(self.replicas):
                    policy = deterministic_policy(self.learner, index)
                    replica.log_evaluation(self.step, self._now(), policy)
        if due(settings.checkpoint_every_steps) or self._is_old(settings.checkpoint_every_minutes):
            with self.stopwatch.timing("save"):
                self.save()
        if self.standing.is_due():
            self.on_event(self._progress(), None)

    def _is_old(self, minutes: float) -> bool:
        """Whether the last checkpoint was written so long ago; never with 0."""
        return bool(minutes) and time.monotonic() - self.saved_at >= 60 * minutes

    def _progress(self) -> Progress:
        rates = [rate for rate in (replica.success() for replica in self.replicas) if rate is not None]
        return {
            "kind": "progress",
            "step": self.step,
            "updates": self.learner.num_updates,
            "wall_s": self._now(),
            "success_mean": float(np.mean(rates)) if rates else None,
            "success": {replica.seed: replica.task_success() for replica in self.replicas},
            **self.standing.progress(self.step, self.config.training.updates_per_vector_step),
        }

    def _now(self) -> float:
        return self.wall_s + time.monotonic() - self.clock

    def _counters(self, since: tuple[int, int, float]) -> Train:
        step, updates, wall_s = since
        elapsed = max(self._now() - wall_s, 1e-9)
        return {
            "kind": "train",
            "step": self.step,
            "updates": self.learner.num_updates,
            "wall_s": self._now(),
            "steps_per_s": (self.step - step) / elapsed,
            "updates_per_s": (self.learner.num_updates - updates) / elapsed,
        }
