"""Where a run stands, read off its folder while it goes on or later."""

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mtrl.protocols import EVALUATION_FILES, LEGACY
from mtrl.runs.errors import UserError
from mtrl.runs.events import Logged, Train, score_texts
from mtrl.runs.lock import is_locked
from mtrl.runs.metrics_file import read_events
from mtrl.runs.reading import (
    Record,
    Warn,
    failure,
    find_seeds,
    is_of_all_epochs,
    is_seed,
    read_config,
    read_evaluation_record,
)

RUNNING, FINISHED, INTERRUPTED, FAILED = "running", "finished", "interrupted", "failed"
_FRESH_S, _FRESH_LINES = 60.0, 3  # without a lock: a run that was written to so lately goes on
_DEPTHS = ("seed_*", "*/seed_*", "*/*/seed_*")  # of seeds in a run, in a folder of runs, and in one of sweeps
_SHOWN_METRICS, _SHOWN_LENGTH = 3, 60
_LAST_LINES, _RATE_LINES = 16, 5  # of a log that tell where a run stands, and of training that tell its rate


@dataclass(frozen=True)
class RunState:
    """Where one seed of a run stands."""

    name: str
    """With the seed, `mt10/seed_0`; the folder where several of those read have that name."""
    state: str
    """`RUNNING`, `FINISHED`, `INTERRUPTED` or, as a trial of a sweep that is not tried again by itself, `FAILED`."""
    done: int
    """Steps, or epochs of a supervised run, as last logged."""
    budget: int
    unit: str
    """`steps` or `epochs`."""
    so_far: str
    """Success or metrics; empty if there are none yet."""
    rate: float | None
    """Units a second; None before the second log line."""
    age_s: float | None
    """Since it was last written to; None if it has written nothing."""
    evaluation: str
    """What its evaluations say, with the protocol; empty without one."""
    is_evaluated: bool
    """There is an evaluation of the whole run."""
    failure: str = ""
    """Why it has failed, in one line; empty if it has not."""

    @property
    def share(self) -> float:
        """The share of the budget that is done, in [0, 1]."""
        return min(1.0, self.done / self.budget)

    @property
    def left_s(self) -> float | None:
        """Seconds until the end; None if it does not go on or its rate is not known."""
        if self.state != RUNNING or not self.rate:
            return None
        return max(0, self.budget - self.done) / self.rate

    @property
    def is_complete(self) -> bool:
        """Whether the run is trained and evaluated."""
        return self.state == FINISHED and self.is_evaluated


def all_runs(paths: Iterable[Path]) -> list[Path]:
    """The seeds' folders behind paths: as `find_seeds`, and those in a folder of runs, or of sweeps, too.

    Raises:
        UserError: there is none behind a path.
    """
    found: dict[Path, None] = {}
    for path in paths:
        seeds = [] if is_seed(path) else [seed for depth in _DEPTHS for seed in path.glob(depth) if is_seed(seed)]
        found |= dict.fromkeys(find_seeds(sorted({seed.parent for seed in seeds}) or [path]))
    return list(found)


def read_states(folders: Iterable[Path], left_out: Warn, warn: Warn = lambda line: None) -> list[RunState]:
    """Where runs stand.

    Args:
        folders: of a seed each.
        left_out: is given a line for a run that cannot be read, which is left out.
        warn: see `read_state`.
    """
    states, places = [], []
    for folder in folders:
        try:
            states.append(read_state(folder, warn))
        except UserError as error:
            left_out(f"left out: {error}")
            continue
        places.append(folder)
    named = Counter(state.name for state in states)
    return [
        replace(state, name=str(folder)) if named[state.name] > 1 else state
        for state, folder in zip(states, places, strict=True)
    ]


def read_state(folder: Path, warn: Warn = lambda line: None) -> RunState:
    """Where the run in the folder of one seed stands.

    Args:
        folder: of the seed.
        warn: is given a line for what could not be read of the last lines of its log.

    Raises:
        UserError: its configuration cannot be read.
    """
    config = read_config(folder)
    metrics = folder / "metrics.jsonl"
    try:
        name, seed, is_supervised = config["name"], config["seeds"][0], "benchmark" in config
        events = _last_events(metrics, is_supervised, warn)
        train = [event for event in events if event["kind"] == "train"]
        budget = int(config["epochs" if is_supervised else "steps"])
        done = int(train[-1]["epoch" if is_supervised else "step"]) if train else 0
        found = [_evaluation(folder, config, protocol, done, budget) for protocol in EVALUATION_FILES]
        evaluations = [text for text, _ in found if text]
        is_evaluated = any(is_whole for _, is_whole in found)
        age_s = max(0.0, time.time() - metrics.stat().st_mtime) if events else None
        state = _state(folder, done >= budget or is_evaluated, age_s)
        why = None if state == RUNNING or is_evaluated else failure(folder)
        return RunState(
            name=f"{name}/seed_{seed}",
            state=state if why is None else FAILED,
            done=done,
            budget=budget,
            unit="epochs" if is_supervised else "steps",
            so_far=(_metrics if is_supervised else _success)(events),
            rate=_epochs_per_s(train) if is_supervised else float(train[-1]["steps_per_s"]) if train else None,
            age_s=age_s,
            evaluation=", ".join(evaluations),
            is_evaluated=is_evaluated,
            failure=why or "",
        )
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        raise UserError(f"{folder} is not as a run writes it: {error!r}"[:200]) from error


def _last_events(metrics: Path, is_supervised: bool, warn: Warn) -> list[Logged]:
    """The events of the last lines of a log; of all its lines where these do not tell what a state consists of."""
    told: list[str] = []
    for last in (_LAST_LINES, None):
        told.clear()
        events = read_events(metrics, told.append, last)
        train = [event for event in events if event["kind"] == "train"]
        if (len(train) >= _RATE_LINES and _tests(events)) if is_supervised else train:
            break
    for line in told:
        warn(line)
    return events


def _state(folder: Path, is_over: bool, age_s: float | None) -> str:
    held = is_locked(folder)
    if held:
        return RUNNING
    if is_over:
        return FINISHED
    if held is False or age_s is None:
        return INTERRUPTED
    train = [event for event in read_events(folder / "metrics.jsonl") if event["kind"] == "train"]
    between_s = (train[-1]["wall_s"] - train[0]["wall_s"]) / (len(train) - 1) if len(train) > 1 else 0.0
    return RUNNING if age_s < max(_FRESH_S, _FRESH_LINES * between_s) else INTERRUPTED


def _success(events: list[Logged]) -> str:
    """Mean success of the recent training episodes, over the tasks that have some, and of the others their return."""
    for event in [event for event in events if event["kind"] == "train"][-1:]:
        known = [rate for rate in event.get("success", {}).values() if rate is not None]
        return ", ".join(score_texts({**event, "success_mean": np.mean(known) if known else None}))
    return ""


def _score(record: Record) -> str:
    """An evaluation's success, and the returns of tasks without."""
    mean, others = record["mean"], [row for row in record["tasks"] if "success_any" not in row]
    said = [f"{mean['success_any']:.2f}"] if "success_any" in mean else []
    if others and all("normalized_return" in row for row in others):
        said.append(f"normalized return {mean['normalized_return']:.2f}")
    elif others:
        said.append(f"return {np.mean([row['mean_return'] for row in others]):,.1f}")
    return ", ".join(said)


def _metrics(events: list[Logged]) -> str:
    """The metrics of the last evaluated epoch; before the first, the losses."""
    tests = _tests(events)
    losses = [event["loss"] for event in events if event["kind"] == "train"]
    known = [f"{name} {value:.4g}" for name, value in (tests or losses or [{}])[-1].items() if value is not None]
    count = 1 if len(", ".join(known[:_SHOWN_METRICS])) > _SHOWN_LENGTH else _SHOWN_METRICS
    more = f" and {len(known) - count} more" if len(known) > count else ""
    return ("" if tests or not known else "loss ") + ", ".join(known[:count]) + more


def _tests(events: list[Logged]) -> list[dict[str, float]]:
    return [event["metrics"] for event in events if event["kind"] == "evaluation" and event["split"] == "test"]


def _epochs_per_s(train: list[Train]) -> float | None:
    if len(train) < 2:
        return None
    first, last = train[-min(_RATE_LINES, len(train))], train[-1]
    elapsed = float(last["wall_s"] - first["wall_s"])
    return (last["epoch"] - first["epoch"]) / elapsed if elapsed > 0 else None


def _evaluation(folder: Path, config: Record, protocol: str, done: int, budget: int) -> tuple[str, bool]:
    """A few words on an evaluation, none if it is not there; and whether it is of the whole run."""
    path = folder / EVALUATION_FILES[protocol]
    if not path.exists():
        return "", False
    try:
        record = read_evaluation_record(path)
        if "benchmark" in config:
            is_whole = is_of_all_epochs(record, budget)
            return "evaluated" + ("" if is_whole else f" at epoch {record['checkpoint']['epoch']:,}"), is_whole
        score, step = _score(record), record["checkpoint"]["step"]
        if protocol == LEGACY:
            is_asked = config.get("evaluation", {}).get("protocol") == LEGACY
            return f"legacy {score} (biased)", is_asked and done >= budget
        return f"{protocol} {score}" + (f" at step {step:,}" if step != done else ""), step >= budget
    except (UserError, KeyError, TypeError):
        return f"{path.name} cannot be read", False
