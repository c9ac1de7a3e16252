"""`training.precision`: the number format of the matrix products, chosen by measuring them."""

from typing import Literal, NamedTuple, cast

import torch

from mtrl import envs
from mtrl.agents.config import Config
from mtrl.agents.products import Rows, layers_of, speedup
from mtrl.agents.required_fields import SINGLE_TASK

CLEARLY_FASTER = 1.25  # a smaller gain in the products is none in the update

Precision = Literal["float32", "bfloat16"]


class Choice(NamedTuple):
    """The number format that is trained in, and what is said of it."""

    precision: Precision
    line: str | None = None
    """Says what was chosen and why; None if there was nothing to choose and nothing is wrong."""
    is_slow: bool = False
    """It is bfloat16, and slower here than float32."""


def choose(config: Config, device: torch.device, kept: Precision | None = None) -> Choice:
    """The number format to train with on this device, with as many threads as torch has now.

    Args:
        config: of the run; its `training.precision` decides, and where that is `auto`, what is measured.
        device: of the learner.
        kept: what the run was given when it began; `auto` keeps it.
    """
    asked = config.training.precision
    fixed = SINGLE_TASK[config.agent.single_task].get("training.precision")
    if asked == "float32" or fixed:
        return Choice(cast(Precision, fixed or asked))
    times = measured(config, device)
    best: Precision = "bfloat16" if times >= CLEARLY_FASTER else "float32"
    finding = f"bfloat16 multiplies {_compared(times)} here ({_place(device)})"
    if asked == "auto" and kept is None:
        return Choice(best, f"precision: {best}, because {finding}")
    precision: Precision = kept or "bfloat16"
    is_slow = precision == "bfloat16" and times < 1
    if asked == "auto":
        surprise = "" if best == precision else f", but {finding}"
        return Choice(precision, f"precision: {precision}, as the run began{surprise}", is_slow)
    return Choice(precision, f"precision: bfloat16 as configured, but {finding}" if is_slow else None, is_slow)


def measured(config: Config, device: torch.device) -> float:
    """Speed of this network's matrix products in bfloat16, by that in float32."""
    tasks = envs.task_names(config.env.tasks)
    layers = layers_of(config, *envs.sizes(tasks, config.env.one_hot))
    replicas = min(len(config.seeds), config.training.seeds_at_once or len(config.seeds))
    alone = config.agent.single_task != "none"  # as many replicas, of one task each
    rows = (replicas * len(tasks), 1) if alone else (replicas, len(tasks))
    return speedup(layers, Rows(*rows, config.training.batch_per_task), device)


def with_precision(config: Config, precision: Precision) -> Config:
    """The configuration with another number format."""
    return config.model_copy(update={"training": config.training.model_copy(update={"precision": precision})})


def dtype_of(config: Config) -> torch.dtype:
    """The dtype of the matrix products.

    Raises:
        ValueError: the format is `auto`, not yet chosen.
    """
    precision = config.training.precision
    if precision == "auto":
        raise ValueError(
            "a learner needs training.precision float32 or bfloat16, got auto: agents.train and MultiTaskSAC choose one"
        )
    return torch.float32 if precision == "float32" else torch.bfloat16


def _compared(times: float) -> str:
    return f"{times:.1f} times as fast as float32" if times >= 1 else f"{1 / times:.1f} times slower than float32"


def _place(device: torch.device) -> str:
    threads = torch.get_num_threads()
    return f"{threads} thread{'s' * (threads > 1)}" if device.type == "cpu" else torch.cuda.get_device_name(device)
