"""Small agents and batches."""

import torch

from agents import Config, MultiTaskSAC
from agents.losses import Batch

OBSERVATION, ACTION = 7, 3


def make_config(**changes: dict) -> Config:
    """A configuration with small networks; `changes` are merged section by section."""
    network = {"kind": "residual", "width": 16, "depth": 1}
    tree = {
        "method": {"name": "mean"},
        "agent": {"actor": network, "critic": network, "task_embedding": 4, "num_atoms": 21},
    }
    for section, values in changes.items():
        tree[section] = {**tree.get(section, {}), **values} if isinstance(values, dict) else values
    return Config.model_validate(tree)


def make_agent(config: Config, num_tasks: int = 3, seed: int = 0) -> MultiTaskSAC:
    return MultiTaskSAC(config, num_tasks, OBSERVATION, ACTION, torch.device("cpu"), seed)


def make_batch(num_tasks: int = 3, rows: int = 8, seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(num_tasks, rows, *shape, generator=generator)

    return Batch(
        normal(OBSERVATION),
        normal(ACTION).tanh(),
        normal(),
        normal(OBSERVATION),
        torch.zeros(num_tasks, rows),
    )
