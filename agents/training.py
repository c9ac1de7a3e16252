"""Training seeds from their configuration to their last checkpoint: what is checked, grouped, resumed."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import torch

from mtrl import envs
from mtrl.agents import preflight
from mtrl.agents.config import Config
from mtrl.agents.finite_steps import StepError
from mtrl.agents.phases import LOADING, phase_event
from mtrl.agents.precision import with_precision
from mtrl.agents.ranks import ALONE, RankError, Ranks
from mtrl.agents.run_precision import settle_precision
from mtrl.agents.training_loop import Training
from mtrl.runs import checkpoint, devices
from mtrl.runs.errors import UserError, disk_errors
from mtrl.runs.events import Listener
from mtrl.runs.folder import check_may_train, load_config, save_config, was_trained
from mtrl.runs.lock import BusyError, locked
from mtrl.runs.stop_signals import stop_signals


@dataclass(frozen=True)
class TrainResult:
    """The end of a call of `train`."""

    step: int
    """Steps of the replica that got least far."""
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
    ranks: Ranks = ALONE,
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
        ranks: that train these runs together, each called with the same; the one that leads writes the folders, which
            all can read.

    Raises:
        UserError: a run exists, was made with another config, its checkpoint is damaged, the device is not there,
            a reward or a loss is not finite, a simulator was killed, a rank ended, or the disk is full. What was
            written before stays.
    """
    device = ranks.device(check(config, folders, resume, ranks))
    groups = _groups(config, folders)
    ranks.agree("configuration (its checksum)", lambda: crc32(config.model_dump_json().encode()))
    ranks.agree("checkpoints (steps and seeds), which lie on a disk that all see", lambda: str(groups))
    for text in preflight.notes(config):
        on_event({"kind": "note", "text": text}, None)
    torch.set_num_threads(config.training.threads or (max(1, ranks.cores - 1) if cores is None else 1))
    devices.keep_freed_memory()
    settled, line = settle_precision(config, folders, device) if ranks.leads else (config, None)
    config = with_precision(config, ranks.say(settled.training.precision)[0])
    if line:
        on_event({"kind": "note", "text": line}, None)
    results = []
    with stop_signals() as stop:
        for step, seeds in groups:
            group = {seed: folders[seed] for seed in seeds}
            results.append(_train_group(config, group, resume, step, device, cores, on_event, stop, ranks))
            if results[-1].interrupted:
                break
    first = min(results, key=lambda result: result.step)
    return TrainResult(first.step, first.updates, all(r.complete for r in results), any(r.interrupted for r in results))


def check(config: Config, folders: Mapping[int, Path], resume: bool, ranks: Ranks = ALONE) -> torch.device:
    """The device, if runs may be trained; see `train`. Nothing is written.

    Raises:
        UserError: a run exists, was made with another config, there is no such task or no such device.
        ModuleNotFoundError: names the extra that is missing.
    """
    device = devices.choose(config.device)
    together = seeds_per_process(config, device, len(folders)) if ranks.size == 1 else len(folders)
    preflight.check(config, together)
    preflight.check_ranks(config, ranks.size)
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


def _check_as_before(config: Config, folders: Mapping[int, Path], resume: bool, step: int | None) -> None:
    """Refuses folders in which another process trained after they were looked at, and before they were locked."""
    for seed, folder in folders.items():
        check_may_train(folder, config, seed, resume)
    if folders and _groups(config, folders) != [(step, [*folders])]:
        names = " ".join(map(str, folders.values()))
        raise BusyError(f"another process has just trained in {names}: --resume goes on from what it has left")


def _jumps(config: Config, folders: Mapping[int, Path], step: int) -> list[str]:
    """Notes on a step size that falls over other steps than those of the run that goes on from here."""
    saved = [folder for folder in folders.values() if (folder / "config.yaml").exists() and was_trained(folder)]
    known = [load_config(folder, Config).steps for folder in saved]
    told = []
    for before in sorted({*known} - {config.steps}):
        old, new = (config.agent.learning_rate_at(min(1.0, step / steps)) for steps in (before, config.steps))
        if old != new:
            told.append(
                f"the step size falls over the steps, {before:,} before and {config.steps:,} now: at step {step:,} it "
                f"jumps from {old:.3g} to {new:.3g}, and the run is recorded as one of {config.steps:,} steps"
            )
    return told


def _train_group(
    config: Config,
    folders: Mapping[int, Path],
    resume: bool,
    step: int | None,
    device: torch.device,
    cores: int | None,
    on_event: Listener,
    stop: Sequence[int],
    ranks: Ranks,
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
        for text in _jumps(config, folders, step or 0):
            on_event({"kind": "note", "text": text}, None)
        # Whatever is wrong with the configuration is found before anything is written.
        written = folders if ranks.leads else {}
        places = {seed: written.get(seed) for seed in folders}
        training = stack.enter_context(Training(config, places, device, on_event, cores, ranks))
        for folder in written.values():
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(folder))
        _check_as_before(config, written, resume, step)
        try:
            training.begin(states, next(iter(folders.values())) / "checkpoints")
            for seed, folder in written.items():
                save_config(folder, config, seed)
            training.run(config.steps, lambda: not stop)
        except (envs.SimulatorError, RankError, StepError) as error:
            raise UserError.of(error, f" at step {training.step}: stopped; {training.kept}") from error
        training.save()
        complete = training.step >= config.steps
        return TrainResult(training.step, training.learner.num_updates, complete, interrupted=not complete)
