"""How far a trial is, read off its folders by whoever may: finished or not, failed or not, how many steps."""

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from mtrl.agents.config import Config
from mtrl.agents.groups import is_as_asked
from mtrl.protocols import EVALUATION_FILES, LEGACY, MODERN
from mtrl.runs import checkpoint
from mtrl.runs.errors import UserError
from mtrl.runs.events import SCORES
from mtrl.runs.files import write_atomically
from mtrl.runs.folder import check_same, load_config
from mtrl.runs.policy_only import has_policy_only
from mtrl.runs.reading import FAILURE, is_of_all_epochs, read_evaluation_record
from mtrl.runs.reading import failure as failure_in
from mtrl.runs.section import RunConfig
from mtrl.supervised import SupervisedRunConfig
from mtrl.sweep.trials import Trial

_TAIL_BYTES = 1 << 16  # of a log: more than a line of fifty tasks

Keep = Literal["all", "policy"]


class Reached(NamedTuple):
    """How far a trial has come, and how well it does."""

    done: int
    """Steps, or epochs of a supervised run, of all its seeds."""
    so_far: dict[str, float]
    """Of the recent training episodes, means over seeds, by their names in `mtrl.runs.events.ScoreMeans`; of a
    supervised run the `loss`, mean over tasks. Empty before the first line of a log."""


def check_trial(trial: Trial) -> None:
    """Refuses folders that hold other runs.

    Raises:
        UserError: names every field that differs.
    """
    for seed, folder in trial.folders.items():
        if (folder / "config.yaml").exists():
            check_same(folder, trial.config, seed)


def is_finished(trial: Trial, keep: Keep) -> bool:
    """Whether all its seeds are trained and evaluated, and of their checkpoints only what shall stay is there."""
    return all(_is_evaluated(trial.config, folder) and _is_tidy(folder, keep) for folder in trial.folders.values())


def budget(trial: Trial) -> int:
    """Steps, or epochs of a supervised run, of all its seeds."""
    config = trial.config
    assert isinstance(config, Config | SupervisedRunConfig)
    return len(config.seeds) * (config.steps if isinstance(config, Config) else config.epochs)


def reached(trial: Trial) -> Reached:
    """What the seeds of a trial have logged so far."""
    lines = [_last_train_line(folder / "metrics.jsonl") for folder in trial.folders.values()]
    unit = "step" if isinstance(trial.config, Config) else "epoch"
    done = sum(line.get(unit, 0) for line in lines)
    scores = [_scores(line, unit) for line in lines]
    known = {name: [score[name] for score in scores if name in score] for score in scores for name in score}
    return Reached(min(done, budget(trial)), {name: sum(values) / len(values) for name, values in known.items()})


def failure(trial: Trial) -> str | None:
    """Why it has failed, in one line; None if it has not."""
    return next((why for folder in trial.folders.values() if (why := failure_in(folder)) is not None), None)


def record_failure(trial: Trial, line: str, trace: str) -> None:
    """Writes that it has failed, for `failure`."""
    for folder in trial.folders.values():
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / FAILURE, json.dumps({"reason": line, "trace": trace}, indent=2) + "\n")


def forget_failure(trial: Trial) -> None:
    """Forget that a trial failed, so that it is tried again."""
    for folder in trial.folders.values():
        (folder / FAILURE).unlink(missing_ok=True)


def _is_evaluated(config: RunConfig, folder: Path) -> bool:
    """Whether there is an evaluation of the whole run, with the episodes and the horizon asked for."""
    try:
        if isinstance(config, SupervisedRunConfig):
            if _data_folder(load_config(folder, type(config))) != _data_folder(config):
                return False  # only who reads the data knows if they are the same
            return is_of_all_epochs(read_evaluation_record(folder / EVALUATION_FILES[MODERN]), config.epochs)
        assert isinstance(config, Config)
        wanted = config.evaluation
        record = read_evaluation_record(folder / EVALUATION_FILES[wanted.protocol])
        if wanted.protocol == LEGACY:
            return max(checkpoint.steps(folder / "checkpoints"), default=0) >= config.steps
        return bool(record["checkpoint"]["step"] >= config.steps and is_as_asked(record["protocol"], config))
    except (UserError, KeyError):
        return False


def _data_folder(config: SupervisedRunConfig) -> Path | None:
    return None if config.data is None else Path(config.data).expanduser().absolute()


def _is_tidy(folder: Path, keep: Keep) -> bool:
    if keep == "all":
        return True
    try:
        return has_policy_only(folder / "checkpoints")
    except UserError:
        return True  # there is none to tidy


def _scores(line: Mapping[str, Any], unit: str) -> dict[str, float]:
    """What a line of a log says of how well it goes."""
    if unit == "epoch":
        losses = [loss for loss in line.get("loss", {}).values() if loss is not None]
        return {"loss": sum(losses) / len(losses)} if losses else {}
    return {name: line[name] for name in SCORES if line.get(name) is not None}


def _last_train_line(path: Path) -> dict[str, Any]:
    with contextlib.suppress(OSError):
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            lines = file.read().split(b"\n")
        for line in reversed(lines):
            with contextlib.suppress(ValueError):
                event = json.loads(line)
                if isinstance(event, dict) and event.get("kind") == "train":
                    return event
    return {}
