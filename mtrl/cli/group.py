"""Seeds that train side by side in one process: trained, then each evaluated."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mtrl import agents
from mtrl.agents.config import Config
from mtrl.protocols import EVALUATION_FILES, LEGACY, MODERN

Event = dict[str, Any]
Tell = Callable[[Event, int | None], None]
"""Takes an event and the seed that it is of, None for one that is of all seeds of the group."""


def train_and_evaluate(
    config: Config, folders: Mapping[int, Path], resume: bool, cores: int | None, tell: Tell
) -> bool:
    """Train and evaluate a group.

    Args:
        config: of the run.
        folders: by seed.
        resume: go on with what is there.
        cores: see `mtrl.agents.train`.
        tell: told of all events of `mtrl.agents.train`, those of `mtrl.agents.evaluate` with the seed, and of
            `{"kind": "result", "record": ...}` for each new evaluation.

    Returns:
        Whether it is finished; else it was interrupted, and checkpoints are written.

    Raises:
        UserError: as `mtrl.agents.train`.
    """
    result = agents.train(config, folders, resume=resume, cores=cores, on_event=tell)
    if result.interrupted:
        return False
    due = [seed for seed, folder in folders.items() if not _is_evaluated(folder, config, result.step)]
    for index, seed in enumerate(due):
        others = len(due) - 1 - index

        def on_event(event: Event, seed: int = seed, others: int = others) -> None:
            if others and event["kind"] == "progress":
                event = event | {"left_s": event["left_s"] + others * event["wall_s"] / event["share"]}
            tell(event, seed)

        record = agents.evaluate(folders[seed], device=config.device, cores=cores or 0, on_event=on_event)
        tell({"kind": "result", "record": record}, seed)
    return True


def _is_evaluated(folder: Path, config: Config, step: int) -> bool:
    """Whether there is a whole evaluation of this step, with the episodes and the horizon asked for."""
    if config.evaluation.protocol == LEGACY:
        return False  # it is read off the log, in no time
    try:
        record: Mapping[str, Any] = json.loads((folder / EVALUATION_FILES[MODERN]).read_text())
        protocol = record["protocol"]
        wanted = (step, config.evaluation.episodes, config.evaluation.horizon)
        return (record["checkpoint"]["step"], protocol["episodes"], protocol["horizon"]) == wanted
    except (OSError, ValueError, KeyError, TypeError):
        return False
