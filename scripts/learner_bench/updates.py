"""Updates of the learner on made-up batches: every method against a plain update, taking turns."""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch

from mtrl.agents import Config, Learner
from mtrl.agents.losses import Batch
from scripts.learner_bench.plain import plain
from scripts.learner_bench.products import Products
from scripts.turns import median_ratio, synchronise

OBSERVATION, ACTION = 39, 4  # of Meta-World
PLAIN, PRODUCTS, EVERY = "plain", "its products alone", ", every "
MODES = ("eager", "compiled", "graphs")
Row = dict[str, Any]

RESIDUAL = {"actor": {"kind": "residual", "width": 256, "depth": 1}}
NETWORKS: dict[str, dict[str, Any]] = {
    # The networks, losses and rows a task of the configurations of these names; 3x400 is paper-modern.yaml's.
    "quick": {"agent": RESIDUAL | {"critic": {"kind": "residual", "width": 256, "depth": 2}}, "batch": 16},
    "ablations": {"agent": RESIDUAL | {"critic": {"kind": "residual", "width": 256, "depth": 2}}, "batch": 32},
    "laptop": {"agent": RESIDUAL | {"critic": {"kind": "residual", "width": 512, "depth": 1}}, "batch": 16},
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
    mode: str
    """Of `MODES`."""
    num_tasks: int


def compare(methods: Sequence[str], setting: Setting, rounds: int) -> Iterator[Row]:
    """A row per method; the plain update, the measure of all, and its matrix products come first."""
    base = plain_learner(setting)
    rows = NETWORKS[setting.network]["batch"]
    batch = made_up_batch(setting.num_seeds, setting.num_tasks, rows, setting.device)

    def beside(call: Callable[[], object], name: str, first: float) -> Row:
        pairs = [[_seconds(one, setting) for one in (call, partial(base.update, batch))] for _ in range(rounds)]
        ours, bases = (list(seconds) for seconds in zip(*pairs, strict=True))
        return _row(name, setting, ours, median_ratio(ours, bases), first)

    first = _warm_up(base, batch)
    yield _row(PLAIN, setting, [_seconds(partial(base.update, batch), setting) for _ in range(rounds)], 1.0, first)
    yield beside(Products(base, rows), PRODUCTS, 0.0)
    for method in methods:
        learner = _learner(method, setting)
        first = _warm_up(learner, batch)
        yield beside(partial(learner.update, batch), method, first)


def plain_learner(setting: Setting) -> Learner:
    """Of the cheapest update in the mean's direction."""
    return plain(_learner("mean", setting), setting.mode != "eager", setting.mode == "graphs")


def _learner(method: str, setting: Setting) -> Learner:
    name, _, every = method.partition(EVERY)
    config = Config.model_validate(
        {
            "method": {"name": name} | ({"update_every": int(every)} if every else {}),
            "agent": NETWORKS[setting.network]["agent"],
            "training": {
                "precision": setting.precision,
                "compile": setting.mode != "eager",
                "cuda_graphs": setting.mode == "graphs",
            },
        }
    )
    seeds = tuple(range(setting.num_seeds))
    return Learner(config, setting.num_tasks, OBSERVATION, ACTION, torch.device(setting.device), seeds)


def made_up_batch(num_seeds: int, num_tasks: int, batch_per_task: int, device: str = "cpu") -> Batch:
    """Transitions of Meta-World's sizes, always the same ones."""
    generator = torch.Generator().manual_seed(0)
    rows = num_seeds, num_tasks, batch_per_task

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*rows, *shape, generator=generator).to(device)

    discount = torch.full(rows, 0.99, device=device)
    return Batch(normal(OBSERVATION), normal(ACTION).tanh(), normal(), normal(OBSERVATION), discount)


def _warm_up(learner: Learner, batch: Batch) -> float:
    """Seconds until the third update: compiling."""
    start = time.perf_counter()
    for _ in range(3):
        learner.update(batch)
    synchronise(learner.device.type)
    return time.perf_counter() - start


def _seconds(call: Callable[[], object], setting: Setting) -> float:
    """Seconds of a call, over as many as take a quarter of a second."""
    # On a CPU its own time: what else runs there is not the call's.
    clock = time.process_time if setting.device == "cpu" else time.perf_counter
    count, start = 0, clock()
    while clock() - start < 0.25:
        for _ in range(4):
            call()
        synchronise(setting.device)
        count += 4
    return (clock() - start) / count


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
        "times_plain": ratio,
        "until_third_update_s": first,
    }
