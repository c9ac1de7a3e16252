"""Small agents and batches."""

from typing import Any

import torch

from mtrl.agents import Config, Learner
from mtrl.agents.losses import Batch
from mtrl.agents.networks import NetworkParameters

OBSERVATION, ACTION = 7, 3


def make_config(**changes: Any) -> Config:
    """A configuration with small networks; `changes` are merged section by section."""
    network = {"kind": "residual", "width": 16, "depth": 1}
    tree: dict[str, Any] = {
        "method": {"name": "mean"},
        "agent": {"actor": network, "critic": network, "conditioning": {"embedding_size": 4}, "num_atoms": 21},
        "training": {"precision": "float32"},
    }
    for section, values in changes.items():
        tree[section] = {**tree.get(section, {}), **values} if isinstance(values, dict) else values
    return Config.model_validate(tree)


def make_learner(config: Config, num_tasks: int = 3, seeds: tuple[int, ...] = (0,)) -> Learner:
    return Learner(config, num_tasks, OBSERVATION, ACTION, torch.device("cpu"), seeds)


def target_of(learner: Learner) -> NetworkParameters:
    """Of the target critics, as `learner.critic.parameters`."""
    return learner.critic.layouts[0].views(learner.target)


def parameters_of(learner: Learner) -> list[torch.Tensor]:
    """Of critics and actor."""
    return learner.critic.parameters.tensors() + learner.actor.parameters.tensors()


def make_batch(num_tasks: int = 3, rows: int = 8, seed: int = 0) -> Batch:
    """For one replica, `[1, T, B, ...]`."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(1, num_tasks, rows, *shape, generator=generator)

    return Batch(
        normal(OBSERVATION),
        normal(ACTION).tanh(),
        normal(),
        normal(OBSERVATION),
        torch.full((1, num_tasks, rows), 0.99),
    )
