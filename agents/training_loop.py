"""Runs in progress: simulate and learn at once, log, evaluate, write checkpoints.

Axes: `S` replicas (one a seed), `T` tasks, `E` environments, `O` observation, `A` action. A step is one environment
transition, summed over tasks, of one replica.
"""

import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mtrl import envs
from mtrl.agents.clock import Clock
from mtrl.agents.config import Config
from mtrl.agents.environments import training_workers
from mtrl.agents.evaluation import deterministic_policy
from mtrl.agents.factory import make_learner
from mtrl.agents.metrics import Metrics
from mtrl.agents.pace import budget
from mtrl.agents.phases import EVALUATING, SAVING, STARTING, Phases
from mtrl.agents.ranks import ALONE, Ranks
from mtrl.agents.replay import Replay
from mtrl.agents.replica import Replica, stack_noise
from mtrl.agents.scores import mean_of_replicas
from mtrl.closing import Closing
from mtrl.gradients.autocast import outside_autocast
from mtrl.protocols import MODERN
from mtrl.runs import checkpoint
from mtrl.runs.errors import UserError
from mtrl.runs.events import Listener, Progress, Told, Train
from mtrl.runs.identity import identity
from mtrl.runs.loading import whole
from mtrl.runs.policy_only import refuse_policy_only


class Training(Closing):
    """Runs in progress, in lock step; `begin` comes first, and closing it ends the simulators.

    Args:
        config: of the runs.
        folders: by seed; where metrics and checkpoints are written, None for nowhere.
        device: of networks and replay.
        on_event: told of every event.
        cores: for simulators; all by default.
        ranks: that train together; those that do not lead write nowhere.
    """

    def __init__(
        self,
        config: Config,
        folders: Mapping[int, Path | None],
        device: torch.device,
        on_event: Listener,
        cores: int | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        self.config, self.device, self.on_event, self.ranks = config, device, on_event, ranks
        cores = cores or ranks.cores
        parts = budget(config, len(folders), training_workers(config.env, cores) or cores, cores)
        self._is_kept = ranks.any(None not in folders.values())
        if not self._is_kept:  # then no evaluation follows
            parts = replace(parts, final_simulated_steps=0)
        self.phases = Phases(parts, config.training.compile, lambda event: on_event(event, None))
        self.replicas: list[Replica] = []
        with (
            self.phases.timing(STARTING, self.phases.pace.started),
            ExitStack() as opened,  # closed again if one cannot be opened
        ):
            for seed, folder in folders.items():
                self.replicas.append(Replica(config, seed, folder, device, cores, ranks))
                opened.callback(self.replicas[-1].env.close)
            self._stack = opened.pop_all()
        env = self.replicas[0].env
        self.tasks = env.tasks
        seeds = [replica.agent_seed for replica in self.replicas]
        self.learner = make_learner(config, env.infos, device, seeds, ranks)
        acted = np.arange(env.action_size) < np.array([info.action for info in env.infos])[:, None, None]
        self.action_mask = torch.as_tensor(acted, dtype=torch.float32).to(device)  # [T, 1, A]
        self.replay = Replay(
            num_replicas=len(self.replicas),
            num_tasks=len(self.tasks),
            capacity_per_task=config.training.replay_capacity_per_task,
            num_envs_per_task=config.env.num_envs_per_task,
            observation_size=env.observation_size,
            action_size=env.action_size,
            device=device,
            discount=config.agent.discount,
            num_steps=config.agent.n_step,
            ranks=ranks,
        )
        self.step = 0
        self.is_under_way = False
        """A step has begun and has not ended: after an error within it there is no state to go on from."""
        self.metrics: Metrics | None = None
        self.saved_step: int | None = None
        self.saved_at = time.monotonic()
        self.clock = Clock()
        self.logged = (0, 0, 0.0)  # step, updates and seconds of the last line of the log

    def begin(self, states: Sequence[dict[str, Any]], place: Path = Path("what was saved")) -> None:
        """Resets the environments, or brings everything where it was saved; then tells that it starts.

        Args:
            states: of checkpoints (`state`) to go on from, one a seed; none to begin.
            place: where they are from, for messages.

        Raises:
            UserError: a state does not fit, or is damaged.
        """
        wall_s = 0.0
        if states:
            refuse_policy_only(states[0], place)
            self.ranks.check_number(states[0].get("ranks", 1), place)
            with checkpoint.taking(place):
                self.step = whole("step", states[0]["step"])
                wall_s = max(float(state["wall_s"]) for state in states)
                self.learner.load_state_dict([state["agent"] for state in states])
                self.replay.load_state_dict([state["replay"] for state in states])
                self.phases.pace.load_state_dict(states[0].get("pace", {}))
            self.saved_step = self.step
        for index, replica in enumerate(self.replicas):
            with checkpoint.taking(place, envs.SimulatorError):
                replica.begin(states[index] if states else None)
            replica.announce(self.device, self._listener(replica.seed), self.step if states else None)
        self.clock.go_on(wall_s)
        self.saved_at = time.monotonic()
        self.logged = (self.step, self.learner.num_updates, wall_s)

    def close(self) -> None:
        """End the simulators."""
        self._stack.close()

    @outside_autocast()
    def run(self, until_step: int, goes_on: Callable[[], bool]) -> None:
        """Vector steps until a step is reached, or until `goes_on()`, asked after each, is false.

        Time between two calls does not count.
        """
        self.clock.go_on()
        while self.step < until_step:
            self.vector_step()
            if self.ranks.any(not goes_on()):
                break
        self.clock.stop()

    def vector_step(self) -> None:
        """One step of every environment, and the updates that go with it while the simulators work."""
        settings, previous = self.config.training, self.step
        is_warm = self.step >= settings.warmup_steps
        learns = is_warm and len(self.replay) > 0
        with self.phases.vector_step(settings.updates_per_vector_step if learns else 0):
            self._simulate_and_learn(is_warm, learns)
        ends = previous < self.config.steps <= self.step

        def is_due(every: int) -> bool:
            return bool(every) and (ends or self.step // every > previous // every)

        if is_due(settings.log_every_steps):
            self._log()
        # The end of a run that has a folder is evaluated by itself.
        apart = self._is_kept and self.step >= self.config.steps and self.config.evaluation.protocol == MODERN
        if is_due(settings.eval_every_steps) and not apart:
            self._evaluate()
        if is_due(settings.checkpoint_every_steps) or self._is_old(settings.checkpoint_every_minutes):
            with self.clock.timing("save"):
                self.save()
        if self.phases.is_due():
            self.on_event(self._progress(), None)

    def _simulate_and_learn(self, is_warm: bool, learns: bool) -> None:
        """The simulators step while the learner updates."""
        self.is_under_way = True
        with self.clock.timing("act"):
            seen = np.stack([replica.observation for replica in self.replicas])  # [S, T, E, O]
            observation = torch.as_tensor(seen, dtype=torch.float32).to(self.device)
            self.learner.observe(observation)
            noise = stack_noise(self.replicas, uniform=not is_warm)  # [S, T, E, A]
            chosen = self.learner.act(observation, noise) if is_warm else noise * self.action_mask
            action = chosen.cpu().numpy()  # on a GPU this waits for the updates before it
            for replica, own in zip(self.replicas, action, strict=True):
                replica.env.send(own)
        if learns:
            with self.clock.timing("update"):
                self._update()
        with self.clock.timing("wait"):
            before, steps = zip(*(replica.recv() for replica in self.replicas), strict=True)
        with self.clock.timing("store"):
            fields = ("reward", "next_obs", "terminated", "done")
            rows = (np.stack([getattr(step, field) for step in steps]) for field in fields)
            self.replay.add(np.stack(before), action, *rows)
        self.step += steps[0].reward.size
        self.is_under_way = False

    @property
    def kept(self) -> str:
        """The checkpoint that remains if the training ends now, in words."""
        if self.saved_step is None:
            return "no checkpoint was written yet"
        return f"the last checkpoint, of step {self.saved_step}, is kept: --resume goes on from it"

    def save(self) -> None:
        """Writes the checkpoints, unless this step has them or there are no folders."""
        self.saved_at = time.monotonic()
        if self.saved_step == self.step:
            return
        with self.phases.timing(SAVING, self.phases.pace.saved):
            for index, replica in enumerate(self.replicas):
                if not self._is_kept:
                    continue
                state = self.state(index)  # of which each rank has a part
                self.ranks.agree("parameters", partial(_marks, state["agent"]))
                if replica.folder is not None:
                    run = identity(self.config, replica.seed)
                    checkpoint.save(replica.folder / "checkpoints", self.step, state, run)
                self.saved_step = self.step

    def state(self, index: int) -> dict[str, Any]:
        """All that a replica goes on from: what a checkpoint holds."""
        learner, replay = self.learner.state_dict(index), self.replay.state_dict(index)
        state = {"step": self.step, "wall_s": self.clock.now(), "agent": learner, "replay": replay}
        state["pace"] = self.phases.pace.state_dict()
        state |= {"ranks": self.ranks.size} if self.ranks.size > 1 else {}
        return state | self.replicas[index].state_dict()

    def _listener(self, seed: int) -> Told:
        return lambda event: self.on_event(event, seed)

    def _update(self) -> None:
        settings = self.config.training
        own = self.ranks.own(len(self.tasks))
        factor = np.stack([replica.scale.factor()[own] for replica in self.replicas])
        scale = torch.as_tensor(factor, dtype=torch.float32).to(self.device)[..., None]  # [S, T, 1]
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

    def _log(self) -> None:
        """A line of the log, for what happened since the last one."""
        step, updates, wall_s = self.logged
        elapsed = max(self.clock.now() - wall_s, 1e-9)
        counters: Train = {
            "kind": "train",
            "step": self.step,
            "updates": self.learner.num_updates,
            "wall_s": self.clock.now(),
            "steps_per_s": (self.step - step) / elapsed,
            "updates_per_s": (self.learner.num_updates - updates) / elapsed,
            "time_share": self.clock.shares(),
        }
        self.logged = (self.step, self.learner.num_updates, self.clock.now())
        for index, replica in enumerate(self.replicas):
            replica.log_train(counters, self.metrics, index)
        self.learner.forget_conflicts()

    def _evaluate(self) -> None:
        """The policies as they are now, each on its own replica's goals."""
        with self.clock.timing("evaluate"), self.phases.timing(EVALUATING, self.phases.pace.evaluated):
            for index, replica in enumerate(self.replicas):
                replica.log_evaluation(self.step, self.clock.now(), deterministic_policy(self.learner, index))

    def _is_old(self, minutes: float) -> bool:
        """Whether the last checkpoint was written so long ago; never with 0."""
        return bool(minutes) and self.ranks.any(time.monotonic() - self.saved_at >= 60 * minutes)

    def _progress(self) -> Progress:
        by_task: Progress = {"kind": "progress"}
        if any(info.has_success for info in self.replicas[0].env.infos):
            by_task["success"] = {replica.seed: replica.task_success() for replica in self.replicas}
        if not all(info.has_success for info in self.replicas[0].env.infos):
            by_task["returns"] = {replica.seed: replica.task_returns() for replica in self.replicas}
        return {
            **by_task,
            "kind": "progress",
            "step": self.step,
            "updates": self.learner.num_updates,
            "wall_s": self.clock.now(),
            **mean_of_replicas([replica.score_means() for replica in self.replicas]),
            **self.phases.progress(self.step, self.config.training.updates_per_vector_step),
        }


def _marks(agent: Mapping[str, Any]) -> dict[str, str]:
    """A few letters for each tensor of parameters in a learner's state, which differ where a bit of it does."""
    return {name: f"{zlib.crc32(x.cpu().numpy().tobytes()):08x}" for name, x in agent["parameters"].items()}
