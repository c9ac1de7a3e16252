"""The evaluation that counts: the newest checkpoint of a run under the modern protocol."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from agents.environments import evaluation_env
from agents.evaluation import evaluate_policy
from agents.saved_policy import load_policy
from mtrl.runs import versions
from mtrl.runs.folder import write_atomically


def evaluate(
    folder: Path,
    *,
    episodes: int | None = None,
    device: str = "auto",
    on_event: Callable[[dict[str, Any]], None] = lambda event: None,
) -> dict[str, Any]:
    """Evaluates the newest checkpoint and writes `evaluation.json`.

    Protocol `modern`: the run's tasks on the reference backend, observed and rewarded as in training, the
    benchmark's goals, horizon 500, deterministic policy, the *final* policy, any-step beside final-step success.

    Args:
        folder: of one seed of a run.
        episodes: per task; by default the run's `evaluation.episodes`.
        device: that the policy runs on.
        on_event: told `{"kind": "progress", "share": x}` now and then.

    Returns:
        What was written.

    Raises:
        UserError: there is no run or no readable checkpoint.
    """
    saved = load_policy(folder, device)
    seed, settings = saved.config.seeds[0], saved.config.evaluation
    started = last_told = time.monotonic()

    def progress(share: float) -> None:
        nonlocal last_told
        if time.monotonic() - last_told >= 0.5:
            last_told = time.monotonic()
            on_event({"kind": "progress", "share": share, "wall_s": last_told - started})

    count = episodes or settings.episodes
    with evaluation_env(saved.config, seed, count) as env:
        result = evaluate_policy(saved.policy, env, count, progress)
    rows = result.per_task()
    evaluation = {
        "protocol": {
            "name": "modern",
            "horizon": settings.horizon,
            "episodes": count,
            "policy": "deterministic, the last checkpoint",
            "goals": result.simulator.goals,
            "reward": result.simulator.reward,
        },
        "simulator": asdict(result.simulator),
        "checkpoint": {"step": saved.step, "updates": saved.updates},
        "seed": seed,
        "wall_s": time.monotonic() - started,
        "versions": versions.packages(),
        "tasks": rows,
        "mean": {
            key: float(np.mean([row[key] for row in rows])) for key in ("success_any", "success_final", "mean_return")
        },
    }
    write_atomically(folder / "evaluation.json", json.dumps(evaluation, indent=2) + "\n")
    return evaluation
