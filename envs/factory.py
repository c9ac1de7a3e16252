"""Arguments in, a vector environment out."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, cast, get_args

from mtrl.envs.envpool import EnvPoolEnv
from mtrl.envs.goals import NUM_GOALS
from mtrl.envs.interface import MAX_HORIZON, VectorEnv
from mtrl.envs.metaworld.backend import metaworld_env
from mtrl.envs.options import GoalOrder, Options, RewardVersion
from mtrl.envs.registered.backend import registered_env
from mtrl.envs.tasks import are_metaworld, task_names


class _Backend(Protocol):
    def __call__(self, options: Options) -> VectorEnv: ...


_BACKENDS: Mapping[str, _Backend] = {"metaworld": metaworld_env, "envpool": EnvPoolEnv}


def make(
    tasks: str | Sequence[str] = "MT10",
    *,
    num_envs_per_task: int = 1,
    seed: int = 0,
    backend: str = "metaworld",
    horizon: int = MAX_HORIZON,
    goal_order: str = "random",
    goal_seed: int | None = None,
    num_goals: int = NUM_GOALS,
    goals_visible: bool = True,
    one_hot: bool = False,
    reward_version: str = "v2",
    num_workers: int = 0,
) -> VectorEnv:
    """Environments of all tasks, stepped together as `[T, E, ...]`.

    Args:
        tasks: `"MT10"`, `"MT25"`, `"MT50"`, `"MT1:reach-v3"`, a sequence of Meta-World V3 names, or
            a sequence of registered Gymnasium environments with one-dimensional boxes of the same sizes; `"Points"`
            are four small analytic ones.
        num_envs_per_task: E, > 0.
        seed: decides which goal an episode gets, and the goals themselves if there is no `goal_seed`,
            `0 <= seed < 2**32`; numpy's global generator plays no part.
        backend: of Meta-World's tasks: `"metaworld"` is exact; `"envpool"` is faster, with another MuJoCo, other
            goals and some other rewards.
        horizon: an episode is truncated after this many steps, 1 to 500 (registered environments: > 0, and their
            own limit holds as well).
        goal_order: `"random"`: every episode draws one of the 50 goals uniformly. `"cycle"`: environment e
            visits goals e, e + E, e + 2E, ...: with E dividing 50, 50 / E episodes visit each goal once. Registered
            environments: the same with reset seeds, drawn per episode or visited in turn from a list without end.
        goal_seed: decides the benchmark's goals, as in `metaworld.MT10(goal_seed)`; None for `seed`. Environments
            for training and for evaluation with the same `goal_seed` share their goals.
        num_goals: goals of each task, 1 to 50. 1 is the fixed goal of older papers: as in metaworld, the first that
            the task draws, after `num_goals` draws of each task before it.
        goals_visible: False: the goal in the observation is zeros (metaworld's `partially_observable`).
        one_hot: the task's one-hot vector, `[T]`, follows the observation: O = 39 + T.
        reward_version: `"v2"`, in [0, 10], or metaworld's older `"v1"`, whose success can differ as well.
        num_workers: simulator processes, at most one per environment; 0 for one per core.

    Raises:
        ValueError: one line with the parameter, its rule and the value.
        ModuleNotFoundError: one line with the package that the backend needs.
    """
    names = task_names(tasks)
    _check_range("num_envs_per_task", num_envs_per_task, 1, None)
    _check_range("seed", seed, 0, 2**32 - 1)
    _check_range("horizon", horizon, 1, MAX_HORIZON if are_metaworld(names) else None)
    _check_range("num_workers", num_workers, 0, None)
    _check_choice("backend", backend, _BACKENDS)
    if backend != "metaworld" and not are_metaworld(names):
        raise ValueError(f"backend={backend!r} simulates Meta-World alone: leave it out for {names[0]!r}")
    _check_choice("goal_order", goal_order, get_args(GoalOrder))
    _check_choice("reward_version", reward_version, get_args(RewardVersion))
    if goal_seed is not None:
        _check_range("goal_seed", goal_seed, 0, 2**32 - 1)
    _check_range("num_goals", num_goals, 1, NUM_GOALS)
    _check_flag("goals_visible", goals_visible)
    _check_flag("one_hot", one_hot)
    options = Options(
        tasks=names,
        num_envs_per_task=num_envs_per_task,
        seed=seed,
        horizon=horizon,
        goal_order=cast(GoalOrder, goal_order),
        goal_seed=seed if goal_seed is None else goal_seed,
        num_goals=num_goals,
        reward_version=cast(RewardVersion, reward_version),
        one_hot=one_hot,
        goals_visible=goals_visible,
        num_workers=num_workers,
    )
    return _BACKENDS[backend](options) if are_metaworld(names) else registered_env(options)


def _check_range(parameter: str, value: int, low: int, high: int | None) -> None:
    if not isinstance(value, int) or value < low or (high is not None and value > high):
        rule = f"an integer >= {low}" if high is None else f"an integer from {low} to {high}"
        raise ValueError(f"{parameter} must be {rule}, got {value!r}")


def _check_flag(parameter: str, value: bool) -> None:
    if not isinstance(value, bool):
        raise ValueError(f"{parameter} must be True or False, got {value!r}")


def _check_choice(parameter: str, value: str, choices: Iterable[str]) -> None:
    known = list(choices)
    if value not in known:
        closest = difflib.get_close_matches(str(value), known, n=1, cutoff=0)[0]
        raise ValueError(f"{parameter} must be one of {known}, got {value!r}; the closest is {closest!r}")
