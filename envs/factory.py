"""Arguments in, a vector environment out."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, cast

from envs.envpool import EnvPoolEnv
from envs.goals import GoalOrder
from envs.interface import MAX_HORIZON, VectorEnv
from envs.metaworld.backend import MetaworldEnv
from envs.tasks import task_names


class _Backend(Protocol):
    def __call__(
        self,
        tasks: tuple[str, ...],
        num_envs_per_task: int,
        seed: int,
        horizon: int,
        goal_order: GoalOrder,
        num_workers: int,
    ) -> VectorEnv: ...


_BACKENDS: Mapping[str, _Backend] = {"metaworld": MetaworldEnv, "envpool": EnvPoolEnv}


def make(
    tasks: str | Sequence[str] = "MT10",
    *,
    num_envs_per_task: int = 1,
    seed: int = 0,
    backend: str = "metaworld",
    horizon: int = MAX_HORIZON,
    goal_order: str = "random",
    num_workers: int = 0,
) -> VectorEnv:
    """Environments of all tasks, stepped together as `[T, E, ...]`.

    Args:
        tasks: `"MT10"`, `"MT1:reach-v3"` or a sequence of Meta-World V3 names.
        num_envs_per_task: E, > 0.
        seed: decides the benchmark's goals (as in `metaworld.MT10(seed)`) and which of them an episode gets,
            `0 <= seed < 2**32`; numpy's global generator plays no part.
        backend: `"metaworld"` is exact; `"envpool"` is faster, with another MuJoCo, goals and some rewards.
        horizon: an episode is truncated after this many steps, 1 to 500.
        goal_order: `"random"`: every episode draws one of the 50 goals uniformly. `"cycle"`: environment e
            visits goals e, e + E, e + 2E, ...: with E dividing 50, 50 / E episodes visit each goal once.
        num_workers: simulator processes, at most one per environment; 0 for one per core.

    Raises:
        ValueError: one line with the parameter, its rule and the value.
        ModuleNotFoundError: one line with the package that the backend needs.
    """
    names = task_names(tasks)
    _check_range("num_envs_per_task", num_envs_per_task, 1, None)
    _check_range("seed", seed, 0, 2**32 - 1)
    _check_range("horizon", horizon, 1, MAX_HORIZON)
    _check_range("num_workers", num_workers, 0, None)
    _check_choice("backend", backend, _BACKENDS)
    _check_choice("goal_order", goal_order, ("random", "cycle"))
    return _BACKENDS[backend](names, num_envs_per_task, seed, horizon, cast(GoalOrder, goal_order), num_workers)


def _check_range(parameter: str, value: int, low: int, high: int | None) -> None:
    if not isinstance(value, int) or value < low or (high is not None and value > high):
        rule = f"an integer >= {low}" if high is None else f"an integer from {low} to {high}"
        raise ValueError(f"{parameter} must be {rule}, got {value!r}")


def _check_choice(parameter: str, value: str, choices: Iterable[str]) -> None:
    known = list(choices)
    if value not in known:
        closest = difflib.get_close_matches(str(value), known, n=1, cutoff=0)[0]
        raise ValueError(f"{parameter} must be one of {known}, got {value!r}; the closest is {closest!r}")
