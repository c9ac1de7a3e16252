"""The benchmark's goals, and which of them an episode gets."""

from collections.abc import Sequence

import numpy as np

from mtrl.envs.catalog import CATALOG, TaskSpec

GOAL_ORDERS = ("random", "cycle")
"""Drawn anew for every episode; or visited in turn, goals e, e + E, e + 2E, ... by environment e."""
NUM_GOALS = 50
"""Goals of each task in a Meta-World benchmark."""


def benchmark_goals(tasks: Sequence[str], seed: int, num_goals: int = NUM_GOALS) -> tuple[np.ndarray, ...]:
    """The goals that metaworld's benchmark of these tasks draws with this seed, bit for bit, in milliseconds.

    `metaworld.MT10(seed)` seeds numpy's global generator, then resets an environment of each task 50 times
    and keeps the last goal vector drawn. A reset draws twice, since it runs `reset_model` twice. Here the
    same draws come from a generator of our own, without a simulator and without the global one.

    Args:
        tasks: V3 names; the goals of one depend on those before it.
        seed: `0 <= seed < 2**32`.
        num_goals: of each task, as metaworld's option of this name. Fewer are the first ones for the first task
            only: the next task's draws follow at once.

    Returns:
        Per task, goal vectors `[num_goals, 3 or 6]`, m: what metaworld calls `rand_vec`.
    """
    generator = np.random.RandomState(seed)  # the legacy generator is the one that metaworld draws from
    goals = []
    for task in tasks:
        draws = [_draw(generator, CATALOG[task]) for _ in range(2 * num_goals)]
        goals.append(np.array(draws[1::2]))
    return tuple(goals)


def _draw(generator: np.random.RandomState, spec: TaskSpec) -> np.ndarray:
    """One goal vector: uniform in the box, repeated while object and goal are too close."""
    while True:
        vector = generator.uniform(spec.low, spec.high)
        if spec.min_distance == 0.0 or np.linalg.norm(vector[:2] - vector[3:5]) >= spec.min_distance:
            return vector


def goal_index(
    order: str, seed: int, task: str, num_envs_per_task: int, environment: int, episode: int, num_goals: int
) -> int:
    """The goal of an environment's `episode`-th episode, `0..num_goals-1`.

    A random draw depends on seed, task name, environment and episode alone: each environment has its own
    stream, no generator state has to be kept, and neither workers nor other tasks change it.
    """
    if order == "cycle":
        return (environment + episode * num_envs_per_task) % num_goals
    stream = np.random.SeedSequence(seed, spawn_key=(*task.encode(), environment, episode))
    return int(np.random.default_rng(stream).integers(num_goals))
