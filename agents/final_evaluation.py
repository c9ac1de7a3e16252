"""The evaluation that counts: the newest checkpoint of a run under the modern protocol."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

import envs
from agents import checkpoint, devices, versions
from agents.evaluation import deterministic_policy, evaluate_policy
from agents.run_folder import load_config, write_atomically
from agents.sac import MultiTaskSAC


def evaluate(
    folder: Path,
    *,
    episodes: int | None = None,
    device: str = "auto",
    on_event: Callable[[dict[str, Any]], None] = lambda event: None,
) -> dict[str, Any]:
    """Evaluates the newest checkpoint and writes `evaluation.json`.

    Protocol `modern`: Meta-World V3 tasks on the reference backend, V2 rewards, the benchmark's goals, horizon 500,
    deterministic policy, the *final* policy, any-step beside final-step success.

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
    config = load_config(folder)
    state = checkpoint.load_newest(folder / "checkpoints")
    place = devices.choose(device)
    seed, settings = config.seeds[0], config.evaluation
    tasks = envs.task_names(config.env.tasks)
    agent = MultiTaskSAC(config, len(tasks), envs.OBSERVATION_SIZE, envs.ACTION_SIZE, place, seed)
    agent.load_state_dict(state["agent"])
    torch.set_num_threads(1)  # a policy this small gains nothing from threads, and the simulators need the cores
    started = last_told = time.monotonic()

    def progress(share: float) -> None:
        nonlocal last_told
        if time.monotonic() - last_told >= 0.5:
            last_told = time.monotonic()
            on_event({"kind": "progress", "share": share, "wall_s": last_told - started})

    count = episodes or settings.episodes
    result = evaluate_policy(
        deterministic_policy(agent, place),
        tasks,
        episodes=count,
        horizon=settings.horizon,
        seed=seed,
        num_workers=0,
        on_progress=progress,
    )
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
        "checkpoint": {"step": state["step"], "updates": state["agent"]["num_updates"]},
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
