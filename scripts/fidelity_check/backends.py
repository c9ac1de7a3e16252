"""Environments of `mtrl.envs.make`, and which goals they have."""

import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import islice
from typing import Any

import numpy as np
from metaworld.types import Task

from mtrl import envs
from mtrl.envs.catalog import CATALOG
from scripts.fidelity_check.stock import as_task, benchmark

BACKENDS = ("metaworld", "envpool")


def is_missing(backend: str) -> bool:
    """Whether its package is not installed."""
    return backend == "envpool" and find_spec("envpool") is None


def make(backend: str, task: str, num_envs: int, seed: int, horizon: int) -> tuple[envs.VectorEnv, list[int]]:
    """Environments of a task, and the seeds of its EnvPools (none for another backend)."""
    if backend == "metaworld":
        env = envs.make(
            [task], num_envs_per_task=num_envs, seed=seed, horizon=horizon, goal_order="cycle", num_workers=1
        )
        return env, []
    import envpool

    seeds: list[int] = []
    original = envpool.make_gymnasium

    def listen(*arguments: Any, **options: Any) -> Any:
        seeds.append(options["seed"])
        return original(*arguments, **options)

    # EnvPool cannot be given goals: those that it draws follow from its seed.
    envpool.make_gymnasium = listen
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that some rewards differ is what is measured here
            env = envs.make([task], num_envs_per_task=num_envs, seed=seed, horizon=horizon, backend="envpool")
    finally:
        envpool.make_gymnasium = original
    return env, seeds


def goals(backend: str, task: str, seed: int, pool_seeds: list[int], count: int) -> list[Task]:
    """The goals of the first environment's first episodes, for stock metaworld."""
    if backend == "metaworld":
        return benchmark(task, seed)[:count]
    (pool_seed,) = pool_seeds
    return [as_task(task, goal) for goal in islice(_drawn(task, pool_seed), count)]


def _drawn(task: str, seed: int) -> Iterator[np.ndarray]:
    """EnvPool's draws: `std::mt19937` and libstdc++'s uniform doubles, one goal vector for each reset."""
    spec = CATALOG[task]
    low, high = np.array(spec.low), np.array(spec.high)
    generator = np.random.RandomState(seed)  # the same Mersenne Twister, seeded alike
    while True:
        words = generator.randint(0, 2**32, size=(len(low), 2), dtype=np.uint32).astype(np.float64)
        vector = low + (words[:, 0] + words[:, 1] * 2.0**32) / 2.0**64 * (high - low)
        if spec.min_distance == 0.0 or np.linalg.norm(vector[:2] - vector[3:5]) >= spec.min_distance:
            yield vector
