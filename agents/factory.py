"""Makes the learner that a configuration names."""

from collections.abc import Sequence
from importlib.util import find_spec

import torch

from mtrl.agents.config import Config
from mtrl.agents.interface import AnyLearner
from mtrl.agents.learner import Learner
from mtrl.agents.normalization import NormalizingLearner, normalized_numbers
from mtrl.agents.ranks import ALONE, Ranks
from mtrl.agents.single_task import SingleTaskLearner
from mtrl.envs import TaskInfo
from mtrl.extras import install


def make_learner(
    config: Config, infos: Sequence[TaskInfo], device: torch.device, seeds: Sequence[int], ranks: Ranks = ALONE
) -> AnyLearner:
    """The learner that `agent.single_task` names, of observations that are normalised where they are to be.

    Args:
        config: of the run, its precision chosen.
        infos: of the tasks.
        device: of all tensors.
        seeds: of the replicas.
        ranks: that learn together; see `check_ranks` in `mtrl.agents.preflight` for which learners can.
    """
    num_tasks = len(infos)
    observation_size = max(info.observation for info in infos) + config.env.one_hot * num_tasks
    sizes = [info.action for info in infos]
    arguments = config, num_tasks, observation_size, max(sizes), device, seeds
    action_sizes = None if len(set(sizes)) == 1 else [sizes] * len(seeds)
    learner: AnyLearner
    match config.agent.single_task:
        case "none":
            learner = Learner(*arguments, action_sizes, ranks)
        case "ours":
            learner = SingleTaskLearner(*arguments, action_sizes)
        case "stable_baselines3":
            # Their package need not be installed.
            from mtrl.agents.single_task_sb3 import StableBaselines3Learner

            learner = StableBaselines3Learner(*arguments, action_sizes, _observed(config, infos))
    numbers = normalized_numbers(config.env, infos, observation_size)
    return NormalizingLearner(learner, numbers, len(seeds), ranks) if numbers.any() else learner


def _observed(config: Config, infos: Sequence[TaskInfo]) -> list[list[int]]:
    """The places of a task's own numbers in the padded observation, its one-hot vector's among them."""
    longest, num_tasks = max(info.observation for info in infos), len(infos)
    one_hot = range(longest, longest + config.env.one_hot * num_tasks)
    return [[*range(info.observation), *one_hot] for info in infos]


def check_installed(config: Config) -> None:
    """Say now that a package is missing, before anything is written.

    Raises:
        ModuleNotFoundError: names the extra.
    """
    if config.agent.single_task == "stable_baselines3" and find_spec("stable_baselines3") is None:
        raise ModuleNotFoundError(
            f"agent.single_task=stable_baselines3 needs stable-baselines3: {install('baselines')}",
            name="stable_baselines3",
        )
