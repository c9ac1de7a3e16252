"""Updates of the learner on made-up batches: every method against the mean, taking turns."""

import statistics
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from turns import median_ratio, synchronise

from agents import Config, Learner
from agents.losses import Batch

OBSERVATION, ACTION = 39, 4  # of Meta-World
Row = dict[str, Any]

NETWORKS: dict[str, dict[str, Any]] = {
    # The networks, losses and batch of configs/mt10/ablations.yaml and configs/mt10/paper-modern.yaml.
    "residual": {
        "agent": {
            "actor": {"kind": "residual", "width": 256, "depth": 1},
            "critic": {"kind": "residual", "width": 256, "depth": 2},
        },
        "batch": 32,
    },
    "3x400": {
        "agent": {
            "actor": {"kind": "mlp", "width": 400, "depth": 3},
            "critic": {"kind": "mlp", "width": 400, "depth": 3},
            "conditioning": {"encoding": "none"},
            "value": "scalar",
            "reward_scaling": "none",
            "max_grad_norm": 1.0,
        },
        "batch": 128,
    },
}


class Setting(NamedTuple):
    """What a row is measured with."""

    network: str
    """A key of `NETWORKS`."""
    precision: str
    num_seeds: int
    device: str
    compile: bool
    num_tasks: int


def compare(methods: Sequence[str], setting: Setting, rounds: int) -> Iterator[Row]:
    """A row per method; the mean, the measure of all, comes first."""
    mean, batch = _learner("mean", setting), _batch(setting)
    first = _warm_up(mean, batch)
    alone = [_seconds(mean, batch, setting) for _ in range(rounds)]
    yield _row("mean", setting, alone, 1.0, first)
    for method in methods:
        if method == "mean":
            continue
        learner = _learner(method, setting)
        first = _warm_up(learner, batch)
        pairs = [(_seconds(learner, batch, setting), _seconds(mean, batch, setting)) for _ in range(rounds)]
        ours, plain = (list(seconds) for seconds in zip(*pairs, strict=True))
        yield _row(method, setting, ours, median_ratio(ours, plain), first)


def _learner(method: str, setting: Setting) -> Learner:
    config = Config.model_validate(
        {
            "method": {"name": method},
            "agent": NETWORKS[setting.network]["agent"],
            "training": {
                "precision": setting.precision,
                "compile": setting.compile,
                "cuda_graphs": setting.device == "cuda",
            },
        }
    )
    seeds = tuple(range(setting.num_seeds))
    return Learner(config, setting.num_tasks, OBSERVATION, ACTION, torch.device(setting.device), seeds)


def _batch(setting: Setting) -> Batch:
    generator = torch.Generator().manual_seed(0)
    rows = setting.num_seeds, setting.num_tasks, NETWORKS[setting.network]["batch"]

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*rows, *shape, generator=generator).to(setting.device)

    discount = torch.full(rows, 0.99, device=setting.device)
    return Batch(normal(OBSERVATION), normal(ACTION).tanh(), normal(), normal(OBSERVATION), discount)


def _warm_up(learner: Learner, batch: Batch) -> float:
    """Seconds until the third update: compiling."""
    start = time.perf_counter()
    for _ in range(3):
        learner.update(batch)
    synchronise(learner.device.type)
    return time.perf_counter() - start


def _seconds(learner: Learner, batch: Batch, setting: Setting, at_least_s: float = 0.25) -> float:
    """Seconds of an update, over as many as take a quarter of a second."""
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < at_least_s:
        for _ in range(4):
            learner.update(batch)
        synchronise(learner.device.type)
        count += 4
    return (time.perf_counter() - start) / count


def _row(method: str, setting: Setting, seconds: list[float], ratio: float, first: float) -> Row:
    each = statistics.median(seconds)
    return {
        "method": method,
        "network": setting.network,
        "device": setting.device,
        "precision": setting.precision,
        "num_seeds": setting.num_seeds,
        "updates_per_s": 1 / each,
        "ms_per_update": 1000 * each,
        "times_mean": ratio,
        "until_third_update_s": first,
    }
