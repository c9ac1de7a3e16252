"""Makes the learner that a configuration names."""

from collections.abc import Sequence
from importlib.util import find_spec

import torch

from mtrl.agents.config import Config
from mtrl.agents.interface import AnyLearner
from mtrl.agents.learner import Learner
from mtrl.agents.single_task import SingleTaskLearner
from mtrl.extras import install


def make_learner(
    config: Config,
    num_tasks: int,
    observation_size: int,
    action_size: int,
    device: torch.device,
    seeds: Sequence[int],
) -> AnyLearner:
    """The learner that `agent.single_task` names; arguments as for `mtrl.agents.Learner`."""
    arguments = config, num_tasks, observation_size, action_size, device, seeds
    match config.agent.single_task:
        case "none":
            return Learner(*arguments)
        case "ours":
            return SingleTaskLearner(*arguments)
        case "stable_baselines3":
            # Their package need not be installed.
            from mtrl.agents.single_task_sb3 import StableBaselines3Learner

            return StableBaselines3Learner(*arguments)


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
