"""The lines of `metrics.jsonl`. Per-task values are mappings from task name; a step is summed over tasks."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime

import numpy as np
import torch
from torch import Tensor

from mtrl import envs
from mtrl.agents.evaluation import EvaluationResult
from mtrl.agents.metrics import Metrics
from mtrl.agents.recent_episodes import RecentEpisodes
from mtrl.agents.scores import normalized, reference
from mtrl.nested import map_leaves
from mtrl.runs import devices, versions
from mtrl.runs.events import Evaluation, Start, Train


def start(env: envs.VectorEnv, seed: int, device: torch.device, precision: str, step: int) -> Start:
    """The start event: software, hardware and tasks of the run; written again when it is resumed."""
    event: Start = {
        "kind": "start",
        "step": step,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "tasks": list(env.tasks),
        "seed": seed,
        "device": str(device),
        "hardware": devices.hardware(device),
        "threads": torch.get_num_threads(),
        "precision": precision,
        "versions": versions.packages(),
        "simulator": asdict(env.simulator),
        "git_commit": versions.git_commit(),
    }
    if others := [info.name for info in env.infos if not info.has_success]:
        event["returns_only"] = others
    if step:
        event["resumed_at_step"] = step
    return event


def train(
    counters: Train,
    infos: Sequence[envs.TaskInfo],
    horizon: int,
    recent: RecentEpisodes,
    reward_factor: np.ndarray,
    metrics: Metrics | None,
) -> Train:
    """The train event: losses, weights, conflicts and success so far.

    Args:
        counters: steps, updates, seconds, rates, and the shares of the time since the last such event.
        infos: of the tasks.
        horizon: steps of the longest episode.
        recent: training episodes.
        reward_factor: what rewards are multiplied with when sampled, `[T]`.
        metrics: of the last update and one replica, `[1, ...]`; None before the first.
    """

    def per_task(values: Iterable[float | None] | Tensor | np.ndarray) -> dict[str, float | None]:
        return {info.name: _known(value) for info, value in zip(infos, values, strict=True)}

    told = {info.name for info in infos if info.has_success}
    returns = per_task(recent.mean_return())
    event: Train = {**counters}
    if told:
        event["success"] = {task: rate for task, rate in per_task(recent.success()).items() if task in told}
    event["return"] = returns
    known = [info for info in infos if info.name not in told and reference(info, horizon)]
    if known:
        event["normalized_return"] = {info.name: normalized(info, horizon, returns[info.name]) for info in known}
    event["reward_factor"] = per_task(reward_factor)
    if metrics is None:
        return event
    components = {"critic": metrics.critic, "actor": metrics.actor}
    conflicts = {name: map_leaves(lambda x: x[0], c.conflict.mean()) for name, c in components.items()}
    components = map_leaves(lambda x: x[0], components)
    return event | {
        "value": per_task(metrics.value[0]),
        "entropy": per_task(metrics.entropy[0]),
        "temperature": per_task(metrics.temperature[0]),
        "loss": {name: per_task(c.loss) for name, c in components.items()},
        "weights": {name: per_task(c.weights) for name, c in components.items()},
        "gradient_norm": {name: per_task(c.gradient_norm) for name, c in conflicts.items()},
        "conflict_rate": {name: _known(c.conflict_rate) for name, c in conflicts.items()},
        "residual": {"critic": _known(metrics.critic_residual[0]), "actor": _known(metrics.actor_residual[0])},
        "cosines": {name: [[_rounded(x) for x in row] for row in c.cosines.tolist()] for name, c in conflicts.items()},
    }


def _rounded(cosine: float) -> float | None:
    """The cosine with as many digits as a picture shows: there are `T * T` of them."""
    return None if math.isnan(cosine) else round(cosine, 3)


def _known(value: float | Tensor | None) -> float | None:
    """None for what is not known, NaN say: JSON has no such number."""
    return None if value is None or math.isnan(value) else float(value)


def evaluation(step: int, wall_s: float, horizon: int | str, episodes: int, result: EvaluationResult) -> Evaluation:
    """An evaluation of the deterministic policy during training."""
    rows = result.per_task()
    event: Evaluation = {
        "kind": "evaluation",
        "step": step,
        "wall_s": wall_s,
        "protocol": {"horizon": horizon, "episodes": episodes},
        "simulator": asdict(result.simulator),
    }
    if any(info.has_success for info in result.infos):
        event["success_any"] = {row["name"]: row["success_any"] for row in rows if "success_any" in row}
        event["success_final"] = {row["name"]: row["success_final"] for row in rows if "success_final" in row}
    event["return"] = {row["name"]: row["mean_return"] for row in rows}
    if any("normalized_return" in row for row in rows):
        event["normalized_return"] = {r["name"]: r["normalized_return"] for r in rows if "normalized_return" in r}
    return event
