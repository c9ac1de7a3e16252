"""A supervised run on disk: trained, logged, checkpointed, resumed exactly, evaluated at its end."""

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import torch

from mtrl.cores import available_cores
from mtrl.runs import checkpoint, devices, versions
from mtrl.runs.errors import UserError, disk_errors
from mtrl.runs.events import PROGRESS_EVERY_S, Logged, Start, Told
from mtrl.runs.files import write_atomically
from mtrl.runs.folder import MetricsLog, check_may_train, save_config
from mtrl.runs.identity import identity
from mtrl.runs.loading import whole
from mtrl.runs.lock import locked
from mtrl.runs.policy_only import refuse_policy_only
from mtrl.runs.stop_signals import stop_signals
from mtrl.supervised.run_config import Job, SupervisedRunConfig


@dataclass(frozen=True)
class TrainResult:
    """How a call of `train` ended."""

    folder: Path
    step: int
    """Of the optimizer, over all epochs."""
    interrupted: bool
    """A signal asked to stop; a checkpoint was written."""
    evaluation: dict[str, Any] | None
    """As in `evaluation.json`; None if interrupted."""


def train(
    config: SupervisedRunConfig,
    seed: int,
    folder: Path,
    *,
    resume: bool = False,
    on_event: Told = lambda event: None,
) -> TrainResult:
    """Trains one seed in a run folder, or goes on with it, and writes `evaluation.json` at the end.

    Interrupted (SIGINT, SIGTERM), it finishes the step, writes a checkpoint and returns. A run that is resumed gives
    the same bits as one that was never interrupted (on the CPU, with the same number of threads).

    Args:
        config: of the run.
        seed: one of the run's.
        folder: of the seed; made here.
        resume: continue from the newest checkpoint if the folder holds a run; without it, an existing run is an error.
        on_event: told of every line of `metrics.jsonl`, and of progress twice a second.

    Raises:
        UserError: the run exists, was made with another config or other data or has more epochs, its checkpoint is
            damaged; the data are missing or damaged; the device is not there; a loss is not finite; the disk is full.
            What was written before stays.
    """
    device = devices.choose(config.device)
    check_may_train(folder, config, seed, resume)
    torch.set_num_threads(config.threads or available_cores())
    devices.keep_freed_memory()
    with torch.random.fork_rng(), disk_errors(folder):  # the caller's random numbers stay as they were
        job = config.job(seed, device)
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder), stop_signals() as stop:
            check_may_train(folder, config, seed, resume)  # again: another process may have trained meanwhile
            kept = folder / "checkpoints"
            state = checkpoint.load_newest(kept, config.of_seed(seed)) if checkpoint.exists(kept) else None
            run = _Run(config, seed, folder, device, job, state, on_event)
            save_config(folder, config, seed)
            while not run.is_over and not stop:
                run.step()
            run.save()
        return TrainResult(folder, run.total_steps, not run.is_over, run.evaluate() if run.is_over else None)


class _Run:
    """A run in progress."""

    def __init__(
        self,
        config: SupervisedRunConfig,
        seed: int,
        folder: Path,
        device: torch.device,
        job: Job,
        state: dict[str, Any] | None,
        on_event: Told,
    ) -> None:
        self.config, self.seed, self.folder, self.job, self.on_event = config, seed, folder, job, on_event
        self.total_steps, self.wall_s = 0, 0.0
        self.saved_step: int | None = None
        if state is not None:
            with checkpoint.taking(folder / "checkpoints", UserError):
                job.load_state_dict(state["job"])
                self.total_steps, self.wall_s = whole("step", state["step"]), float(state["wall_s"])
            self.saved_step = self.total_steps
            begun = -(-self.total_steps // job.steps_per_epoch)
            if config.epochs < begun:
                raise UserError(f"epochs must be at least {begun}, which the run has begun, got {config.epochs}")
            if not self.is_over:
                refuse_policy_only(state, folder / "checkpoints")
        self.saved_wall_s = self.wall_s
        self.clock = self.last_progress = self.saved_at = time.monotonic()
        late = job.catch_up(*divmod(self.total_steps, job.steps_per_epoch))
        self.log = MetricsLog(folder / "metrics.jsonl", -1 if state is None else self.total_steps, on_event)
        if not self.is_over:
            self.log.write(self._start(device))
        if late:
            self._write(late)
            self.saved_step = None
            self.save()

    @property
    def epochs(self) -> int:
        """The number of finished epochs."""
        return self.total_steps // self.job.steps_per_epoch

    @property
    def is_over(self) -> bool:
        """All epochs are finished, or the job has stopped before."""
        return self.epochs >= self.config.epochs or self.job.stopped

    def step(self) -> None:
        """One step, and what follows an epoch."""
        finished, index = divmod(self.total_steps, self.job.steps_per_epoch)
        self.job.step(finished + 1, index)
        self.total_steps += 1
        if self.epochs > finished:
            self._write(self.job.end_epoch(self.epochs))
            if self.epochs % self.config.checkpoint_every_epochs == 0:
                self.save()
        minutes = self.config.checkpoint_every_minutes
        if minutes and time.monotonic() - self.saved_at >= 60 * minutes:
            self.save()
        if time.monotonic() - self.last_progress >= PROGRESS_EVERY_S:
            self.last_progress = time.monotonic()
            share = self.total_steps / (self.config.epochs * self.job.steps_per_epoch)
            self.on_event({"kind": "progress", "share": share, "wall_s": self._now()})

    def save(self) -> None:
        """Writes a checkpoint, unless this step has one."""
        self.saved_at = time.monotonic()
        if self.saved_step != self.total_steps:
            self.saved_wall_s = self._now()
            state = {"step": self.total_steps, "wall_s": self.saved_wall_s, "job": self.job.state_dict()}
            run = identity(self.config, self.seed)
            checkpoint.save(self.folder / "checkpoints", self.total_steps, state, run)
            self.saved_step = self.total_steps

    def evaluate(self) -> dict[str, Any]:
        """Writes `evaluation.json`."""
        evaluation = {
            **self.job.result(),
            "method": self.config.method.model_dump(mode="json"),
            "checkpoint": {"step": self.total_steps, "epoch": self.epochs},
            "seed": self.seed,
            "wall_s": self.saved_wall_s,
            "versions": versions.packages(),
        }
        write_atomically(self.folder / "evaluation.json", json.dumps(evaluation, indent=2, allow_nan=False) + "\n")
        return evaluation

    def _write(self, events: list[Logged]) -> None:
        for event in events:
            line = {"kind": event["kind"], "step": self.total_steps, "wall_s": self._now(), **event}
            self.log.write(cast(Logged, line))

    def _start(self, device: torch.device) -> Start:
        """What the run is made of and made on; written again when it is resumed."""
        event: Start = {
            "kind": "start",
            "step": self.total_steps,
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            **self.job.description(),
            "seed": self.seed,
            "device": str(device),
            "hardware": devices.hardware(device),
            "threads": torch.get_num_threads(),
            "versions": versions.packages(),
            "git_commit": versions.git_commit(),
        }
        if self.total_steps:
            event["resumed_at_step"] = self.total_steps
        return event

    def _now(self) -> float:
        return self.wall_s + time.monotonic() - self.clock
