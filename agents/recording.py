"""The actions of evaluated episodes, to replay them elsewhere.

Axes: T tasks, N episodes of each, H steps of an episode, A action, O observation.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from mtrl import envs
from mtrl.agents.environments import evaluation_env, simulating
from mtrl.agents.evaluation import EvaluationResult, evaluate_policy
from mtrl.agents.saved_policy import load_policy
from mtrl.envs.goals import benchmark_goals
from mtrl.runs import devices


@dataclass(frozen=True)
class Recording:
    """Episode n of each task has the goal n of the benchmark, as an evaluation's: 0, 1, 2, ..."""

    tasks: tuple[str, ...]
    goal_seed: int
    """Decides the goals."""
    goals: tuple[np.ndarray, ...]
    """Per task, goal vectors, `[N or more, 3 or 6]`."""
    reward_version: Literal["v2", "v1"]
    """Version of Meta-World's rewards, which decides what a success is."""
    step: int
    """Environment steps at the checkpoint, summed over tasks."""
    actions: np.ndarray
    """`[T, N, H, A]` float32."""
    last_obs: np.ndarray
    """`[T, N, O]`: what the last action of the episode saw, to check a replay with."""
    result: EvaluationResult


@devices.threads(1)
def record_episodes(
    folder: Path, *, episodes: int, device: str = "auto", on_progress: Callable[[float], None] = lambda share: None
) -> Recording:
    """Runs the newest checkpoint's deterministic policy on Meta-World as evaluations do and keeps what it did.

    Args:
        folder: of one seed of a run, finished or running.
        episodes: N, at most the run's `env.num_goals`.
        device: that the policy runs on.
        on_progress: told the share that is done.

    Raises:
        UserError: there is no run, no readable checkpoint or no such device.
    """
    saved = load_policy(folder, device)
    horizon = envs.horizons(saved.infos, saved.config.evaluation.horizon)[0]  # alike for all of Meta-World
    actions: list[np.ndarray] = []
    seen: list[np.ndarray] = []

    def policy(observation: np.ndarray) -> np.ndarray:
        action = saved.policy(observation)
        actions.append(action)
        if len(actions) % horizon == 0:
            seen.append(observation)
        return action

    seed = saved.config.seeds[0]
    with simulating(), evaluation_env(saved.config, seed, episodes) as env:
        result = evaluate_policy(policy, env, episodes, on_progress)
    # In a round, environment e has goal round * E + e: rounds and environments together count the goals.
    stacked = np.stack(actions).astype(np.float32)
    stacked = stacked.reshape(-1, horizon, *stacked.shape[1:])  # [rounds, H, T, E, A]
    by_goal = stacked.transpose(2, 0, 3, 1, 4).reshape(len(saved.tasks), episodes, horizon, -1)
    chosen = saved.config.evaluation.goal_seed, saved.config.env.goal_seed, seed
    goal_seed = next(number for number in chosen if number is not None)
    return Recording(
        tasks=saved.tasks,
        goal_seed=goal_seed,
        goals=benchmark_goals(saved.tasks, goal_seed, saved.config.env.num_goals),
        reward_version=saved.config.env.reward_version,
        step=saved.step,
        actions=by_goal,
        last_obs=np.concatenate(seen, 1),
        result=result,
    )
