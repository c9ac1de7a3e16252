"""Evaluation of a policy: whole episodes of fixed length, any-step and final-step success."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mtrl import envs
from mtrl.agents.finite_steps import check_observation, check_step
from mtrl.agents.interface import AnyLearner, act_alone
from mtrl.agents.scores import normalized

Policy = Callable[[np.ndarray], np.ndarray]
"""Deterministic actions `[T, E, A]` for observations `[T, E, O]`."""


@dataclass(frozen=True)
class EvaluationResult:
    """Per task, over `episodes` episodes. Success and return are arrays `[T, episodes]`."""

    infos: tuple[envs.TaskInfo, ...]
    horizon: int
    """Steps of the longest episode."""
    success_any: np.ndarray
    """The task succeeded at some step: what Meta-World reports."""
    success_final: np.ndarray
    """The task was in success at the last step."""
    returns: np.ndarray
    """Undiscounted sums of reward."""
    simulator: envs.SimulatorInfo

    def per_task(self) -> list[dict[str, Any]]:
        """One row a task, as written to `evaluation.json`."""
        return [self._row(task, info) for task, info in enumerate(self.infos)]

    def _row(self, task: int, info: envs.TaskInfo) -> dict[str, Any]:
        mean_return = float(self.returns[task].mean())
        row: dict[str, Any] = {"name": info.name, "episodes": self.returns.shape[1]}
        if info.has_success:
            row["success_any"] = float(self.success_any[task].mean())
            row["success_final"] = float(self.success_final[task].mean())
            return row | {"mean_return": mean_return}
        share = normalized(info, self.horizon, mean_return)
        return row | {"mean_return": mean_return} | ({} if share is None else {"normalized_return": share})


def evaluate_policy(
    policy: Policy,
    env: envs.VectorEnv,
    episodes: int,
    on_progress: Callable[[float], None] = lambda share: None,
) -> EvaluationResult:
    """Runs the policy for `episodes` episodes of every task.

    Every environment contributes as many of them, its first ones: taking those that end first would favour short
    episodes.

    Args:
        policy: see `Policy`.
        env: freshly made (`mtrl.agents.environments.evaluation_env`).
        episodes: per task, a multiple of the environments per task.
        on_progress: told the share that is done.

    Raises:
        UserError: a reward or an observation is not finite.
    """
    rounds, rest = divmod(episodes, env.num_envs_per_task)
    if rest:
        raise ValueError(f"episodes must be a multiple of {env.num_envs_per_task} environments, got {episodes}")
    shape = len(env.tasks), env.num_envs_per_task, rounds
    any_step, final, returns = np.zeros(shape, bool), np.zeros(shape, bool), np.zeros(shape)
    finished = np.zeros(shape[:2], int)
    observation = env.reset()
    check_observation(env.tasks, observation)
    while (finished < rounds).any():
        step = env.step(policy(observation))
        check_step(env.tasks, step)
        observation = step.obs
        counted = step.done & (finished < rounds)
        where = (*counted.nonzero(), finished[counted])
        any_step[where], final[where] = step.episode_success[counted], step.success[counted]
        returns[where] = step.episode_return[counted]
        finished += counted
        on_progress(
            float(np.minimum(finished + step.episode_length / env.horizon * ~step.done, rounds).mean() / rounds)
        )

    def in_turn(values: np.ndarray) -> np.ndarray:
        return values.transpose(0, 2, 1).reshape(-1, episodes)  # [T, E, rounds] to [T, episodes], round after round

    played = in_turn(any_step), in_turn(final), in_turn(returns)
    return EvaluationResult(env.infos, env.horizon, *played, env.simulator)


def deterministic_policy(learner: AnyLearner, replica: int) -> Policy:
    """The mean actions of one replica for numpy observations `[T, E, O]`."""

    def policy(observation: np.ndarray) -> np.ndarray:
        rows = torch.as_tensor(observation, dtype=torch.float32).to(learner.device)
        return act_alone(learner, replica, rows).cpu().numpy()

    return policy
