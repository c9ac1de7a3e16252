"""The evaluation that counts, under one of two protocols."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from mtrl.agents.config import Config, EvaluationConfig
from mtrl.agents.environments import evaluation_env, plays_unseen_goals, shown_horizon, simulating
from mtrl.agents.evaluation import EvaluationResult, evaluate_policy
from mtrl.agents.phases import EVALUATING, LOADING, STARTING, phase_event
from mtrl.agents.required_fields import legacy_differences
from mtrl.agents.saved_policy import load_policy
from mtrl.envs import MAX_HORIZON, is_metaworld
from mtrl.protocols import BIAS, EVALUATION_FILES, LEGACY, MODERN
from mtrl.runs import devices, versions
from mtrl.runs.errors import UserError
from mtrl.runs.events import PROGRESS_EVERY_S, Evaluation, Logged, Told
from mtrl.runs.files import write_atomically
from mtrl.runs.folder import load_config
from mtrl.runs.metrics_file import read_events

_GOALS, _REWARD = 50, "v2"  # of protocol modern

Record = dict[str, Any]


def evaluate(
    folder: Path,
    *,
    protocol: str | None = None,
    episodes: int | None = None,
    device: str = "auto",
    cores: int = 0,
    on_event: Told = lambda event: None,
) -> Record:
    """Evaluates a run and writes `evaluation.json`, or `evaluation-legacy.json`.

    Protocol `modern`: the newest checkpoint; the run's tasks on the reference backend, V2 rewards, the benchmark's 50
    goals, horizon 500, deterministic policy, any-step beside final-step success; then as many episodes on goals that
    training never saw (`evaluation.unseen_goals`), whose success stands beside that of each task.
    Protocol `legacy`: of the evaluations that were logged during training, the one with the best mean any-step success.

    Args:
        folder: of one seed of a run.
        protocol: `modern` or `legacy`; the run's `evaluation.protocol` by default.
        episodes: per task, of `modern`; by default the run's `evaluation.episodes`.
        device: that the policy runs on.
        cores: for the simulators; 0 for all.
        on_event: told of phases, and twice a second of `{"kind": "progress", "share": x, "left_s": s, "wall_s": s}`.

    Returns:
        What was written.

    Raises:
        UserError: there is no run; no readable checkpoint (`modern`); it was not trained and evaluated with the
            settings of the old tables, or has logged no evaluation (`legacy`).
    """
    config = load_config(folder, Config)
    protocol = protocol or config.evaluation.protocol
    if protocol == LEGACY and episodes:
        raise UserError("episodes are of protocol modern: legacy takes the evaluations that the run has logged")
    evaluation = (
        _best_logged(folder, config) if protocol == LEGACY else _final(folder, episodes, device, cores, on_event)
    )
    write_atomically(folder / EVALUATION_FILES[protocol], json.dumps(evaluation, indent=2) + "\n")
    return evaluation


@devices.threads(1)  # a policy this small gains nothing from threads, and the simulators need the cores
def _final(folder: Path, episodes: int | None, device: str, cores: int, on_event: Told) -> Record:
    """The evaluation under protocol `modern`."""
    on_event(phase_event(LOADING))
    saved = load_policy(folder, device)
    config = _modern(saved.config)
    seed, count = config.seeds[0], episodes or config.evaluation.episodes
    on_event(phase_event(STARTING))
    parts = 2 if plays_unseen_goals(config) else 1
    progress = _Progress(on_event, parts)
    results = []
    for part in range(parts):
        with simulating(), evaluation_env(config, seed, count, cores, unseen_goals=part == 1) as env:
            results.append(evaluate_policy(saved.policy, env, count, progress.of_part(part)))
    result, unseen = results[0], results[1] if parts == 2 else None
    rows = result.per_task() if unseen is None else _beside(result, unseen)
    return {
        "protocol": {
            "name": MODERN,
            "horizon": shown_horizon(saved.infos, config.evaluation.horizon),
            "episodes": count,
            "policy": "deterministic, the last checkpoint",
            "goals": result.simulator.goals,
            "reward": result.simulator.reward,
        },
        "simulator": asdict(result.simulator),
        "checkpoint": {"step": saved.step, "updates": saved.updates},
        "precision": saved.config.training.precision,
        "seed": seed,
        "wall_s": time.monotonic() - progress.started,
        "versions": versions.packages(),
        **({"unseen_goals": unseen.simulator.goals} if unseen else {}),
        "tasks": rows,
        "mean": _mean(rows),
    }


class _Progress:
    """Tells how far the evaluation is: its phase, and twice a second the share that is done."""

    def __init__(self, on_event: Told, parts: int) -> None:
        self.started = self._last_told = time.monotonic()
        self._began: float | None = None
        self._on_event, self._parts = on_event, parts

    def of_part(self, part: int) -> Callable[[float], None]:
        """What is told the share of a part that is done."""
        return lambda share: self._tell((part + share) / self._parts)

    def _tell(self, share: float) -> None:
        now = time.monotonic()
        if self._began is None:
            self._began = now
            self._on_event(phase_event(EVALUATING))
        if now - self._last_told >= PROGRESS_EVERY_S:
            self._last_told = now
            left_s = (now - self._began) * (1 / share - 1)
            self._on_event({"kind": "progress", "share": share, "left_s": left_s, "wall_s": now - self.started})


def _beside(seen: EvaluationResult, unseen: EvaluationResult) -> list[Record]:
    """A row a task, with its success on goals that training never saw if it has goals."""
    rows = seen.per_task()
    for row, other in zip(rows, unseen.per_task(), strict=True):
        if is_metaworld(row["name"]):
            row |= {f"{key}_unseen": other[key] for key in ("success_any", "success_final")}
    return rows


def _modern(config: Config) -> Config:
    """The run's configuration with the protocol's reward and goals, whatever it was trained with."""
    env = config.env.model_copy(update={"reward_version": _REWARD, "num_goals": _GOALS})
    settings = EvaluationConfig(horizon=MAX_HORIZON) if config.evaluation.protocol == LEGACY else config.evaluation
    return config.model_copy(update={"env": env, "evaluation": settings})


def _best_logged(folder: Path, config: Config) -> Record:
    """The evaluation under protocol `legacy`; where several are best, the first of them."""
    if different := legacy_differences(config):
        raise UserError(f"{folder} has no score under protocol legacy: {'; '.join(different)}")
    events = read_events(folder / "metrics.jsonl")
    logged = [event for event in events if event["kind"] == "evaluation"]
    if not logged:
        raise UserError(f"{folder} has no score under protocol legacy: it has logged no evaluation yet")
    try:
        return _score(config, events, logged)
    except (KeyError, IndexError, TypeError) as error:
        raise UserError(f"{folder} has no score under protocol legacy: its log lacks {error}") from error


def _score(config: Config, events: list[Logged], logged: list[Evaluation]) -> Record:
    """The best of the evaluations that a run has logged."""
    started = [event for event in events if event["kind"] == "start"][-1]
    means = [float(np.mean([*event["success_any"].values()])) for event in logged]
    best = logged[int(np.argmax(means))]
    rows = [
        {
            "name": name,
            "episodes": best["protocol"]["episodes"],
            "success_any": best["success_any"][name],
            "success_final": best["success_final"][name],
            "mean_return": best["return"][name],
        }
        for name in best["success_any"]
    ]
    return {
        "protocol": {
            "name": LEGACY,
            "horizon": best["protocol"]["horizon"],
            "episodes": best["protocol"]["episodes"],
            "policy": f"deterministic, the best of {len(logged)} evaluations during training ({BIAS})",
            "goals": best["simulator"]["goals"],
            "reward": best["simulator"]["reward"],
        },
        "simulator": best["simulator"],
        "checkpoint": {"step": best["step"]},
        "precision": config.training.precision,
        "evaluations": {"steps": [event["step"] for event in logged], "success_any": means},
        "seed": started["seed"],
        "wall_s": best["wall_s"],
        "versions": started["versions"],
        "tasks": rows,
        "mean": _mean(rows),
    }


def _mean(rows: list[Record]) -> dict[str, float]:
    """The mean over the tasks that have it: success where there is any, else the return's place between references.

    Returns themselves, which no two tasks need share, are averaged over all.
    """
    means = {}
    keys = ("success_any", "success_final", "success_any_unseen", "success_final_unseen")
    for key in (*keys, "mean_return", "normalized_return"):
        if known := [row[key] for row in rows if key in row]:
            means[key] = float(np.mean(known))
    return means
