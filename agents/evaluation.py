"""Evaluation of a policy: whole episodes of fixed length, any-step and final-step success."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

import envs
from agents.sac import MultiTaskSAC

Policy = Callable[[np.ndarray], np.ndarray]
"""Deterministic actions `[T, E, A]` for observations `[T, E, O]`."""


@dataclass(frozen=True)
class EvaluationResult:
    """Per task, over `episodes` episodes. Success and return are arrays `[T, episodes]`."""

    tasks: tuple[str, ...]
    success_any: np.ndarray
    """The task succeeded at some step: what Meta-World reports."""
    success_final: np.ndarray
    """The task was in success at the last step."""
    returns: np.ndarray
    """Undiscounted sums of reward."""
    simulator: envs.SimulatorInfo

    def per_task(self) -> list[dict[str, Any]]:
        """One row a task, as written to `evaluation.json`."""
        return [
            {
                "name": name,
                "episodes": self.returns.shape[1],
                "success_any": float(self.success_any[i].mean()),
                "success_final": float(self.success_final[i].mean()),
                "mean_return": float(self.returns[i].mean()),
            }
            for i, name in enumerate(self.tasks)
        ]


def evaluate_policy(
    policy: Policy,
    tasks: tuple[str, ...],
    *,
    episodes: int,
    horizon: int,
    seed: int,
    num_workers: int,
    on_progress: Callable[[float], None] = lambda share: None,
) -> EvaluationResult:
    """Runs the policy for `episodes` episodes of every task on the reference backend.

    The benchmark's goals are visited in turn, so 50 episodes see each of the 50 goals once.

    Args:
        policy: see `Policy`.
        tasks: names.
        episodes: per task.
        horizon: steps of an episode.
        seed: of the benchmark's goals.
        num_workers: simulator processes; 0 chooses.
        on_progress: told the share that is done.
    """
    num_envs = max(n for n in range(1, 6) if episodes % n == 0)
    rounds = episodes // num_envs
    finished = []
    with envs.make(
        tasks,
        num_envs_per_task=num_envs,
        seed=seed,
        horizon=horizon,
        goal_order="cycle",
        num_workers=num_workers,
    ) as env:
        observation = env.reset()
        for step in range(rounds * horizon):
            result = env.step(policy(observation))
            observation = result.obs
            if (step + 1) % horizon == 0:
                finished.append((result.episode_success, result.success, result.episode_return))
            on_progress((step + 1) / (rounds * horizon))
        any_step, final, returns = (np.concatenate(parts, 1) for parts in zip(*finished, strict=True))
        return EvaluationResult(tasks, any_step, final, returns, env.simulator)


def deterministic_policy(agent: MultiTaskSAC, device: torch.device) -> Policy:
    """The agent's mean actions for numpy observations `[T, E, O]`."""

    def policy(observation: np.ndarray) -> np.ndarray:
        return agent.act(torch.as_tensor(observation, dtype=torch.float32).to(device)).cpu().numpy()

    return policy
