"""Which tasks a name stands for, and how large their observations and actions are."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mtrl.envs.catalog import CATALOG, POINTS
from mtrl.envs.interface import ACTION_SIZE, MAX_HORIZON, OBSERVATION_SIZE, Sizes, TaskInfo
from mtrl.envs.registered.names import parsed, with_arguments
from mtrl.envs.registered.registry import is_registered, like, look

MT10 = (
    "reach-v3",
    "push-v3",
    "pick-place-v3",
    "door-open-v3",
    "drawer-open-v3",
    "drawer-close-v3",
    "button-press-topdown-v3",
    "peg-insert-side-v3",
    "window-open-v3",
    "window-close-v3",
)
"""The ten tasks of MT10, in Meta-World's order."""

MT25 = (
    *MT10,
    "coffee-pull-v3",
    "pick-out-of-hole-v3",
    "disassemble-v3",
    "pick-place-wall-v3",
    "basketball-v3",
    "stick-pull-v3",
    "button-press-wall-v3",
    "faucet-open-v3",
    "door-lock-v3",
    "lever-pull-v3",
    "sweep-into-v3",
    "faucet-close-v3",
    "coffee-button-v3",
    "button-press-topdown-wall-v3",
    "dial-turn-v3",
)
"""The 25 tasks of MT25, in Meta-World's order."""

MT50 = tuple(CATALOG)
"""All fifty tasks, in Meta-World's order."""

_ONE = "MT1:"
_BENCHMARKS = {
    "MT10": MT10,
    "MT25": MT25,
    "MT50": MT50,
    "Points": POINTS,
    **{f"{_ONE}{name}": (name,) for name in CATALOG},
}

Task = str | Mapping[str, Any]
"""A name, or one with keyword arguments: `{"id": "Hopper-v5", "kwargs": {"forward_reward_weight": 2.0}}`."""


def task_names(tasks: Task | Sequence[Task]) -> tuple[str, ...]:
    """The names of `tasks`, in the order of the task axis (in which Meta-World's goals are drawn).

    Args:
        tasks: a benchmark (`"MT10"`, `"MT25"`, `"MT50"`, `"MT1:reach-v3"`, `"Points"`); or a task that Gymnasium knows
            (`"Name-v0"`, `"module:Name-v0"`), which may have keyword arguments (see `Task`, or
            `"Name-v0(key=value)"`); or a sequence of different ones of these and of Meta-World V3 names.

    Raises:
        ValueError: for an unknown name (with the closest known one), a module that cannot be imported, a repeated name,
            or no name at all.
        ModuleNotFoundError: a task is of the control suite, and that is not installed.
    """
    if isinstance(tasks, str) and tasks in _BENCHMARKS:
        return _BENCHMARKS[tasks]
    if isinstance(tasks, Mapping):
        return task_names([tasks])
    if isinstance(tasks, str):
        if tasks in CATALOG or tasks.startswith(_ONE) or not is_registered(tasks):
            raise ValueError(f"tasks: {_unknown('benchmark', tasks, _BENCHMARKS)}")
        return (tasks,)
    if not isinstance(tasks, Sequence) or not all(isinstance(task, str | Mapping) for task in tasks):
        raise ValueError(f"tasks must be a benchmark's name or names of tasks, got {tasks!r}")
    names = tuple(task if isinstance(task, str) else with_arguments(task) for task in tasks)
    if not names:
        raise ValueError("tasks needs at least one task name, got none")
    for name in names:
        if name not in CATALOG and not is_registered(name):
            if parsed(name)[0] in CATALOG:
                raise ValueError(f"tasks: Meta-World's take no arguments, got {name!r}")
            raise ValueError(f"tasks: {_unknown('task', name, CATALOG)}")
        if names.count(name) > 1:
            raise ValueError(f"tasks names a task once, got {name!r} {names.count(name)} times")
    return names


def is_metaworld(name: str) -> bool:
    """Whether a task, by its name among `task_names`, is Meta-World's; the others are registered environments."""
    return name in CATALOG


def are_metaworld(names: Sequence[str]) -> bool:
    """Whether these `task_names` are all Meta-World's; the others are registered Gymnasium environments."""
    return all(map(is_metaworld, names))


def task_infos(tasks: Task | Sequence[Task]) -> tuple[TaskInfo, ...]:
    """What each task is. Raises ValueError as `mtrl.envs.make` does.

    Registered environments are made once each to be looked at.
    """
    return tuple(
        TaskInfo(name, OBSERVATION_SIZE, ACTION_SIZE, MAX_HORIZON, has_success=True) if name in CATALOG else look(name)
        for name in task_names(tasks)
    )


def horizons(infos: Sequence[TaskInfo], horizon: int | None) -> tuple[int, ...]:
    """Steps after which an episode of each task is truncated: so many, or its own limit if that is less.

    Raises:
        ValueError: a task has no limit, and none is given.
    """
    limits = [[limit for limit in (horizon, info.limit) if limit is not None] for info in infos]
    for info, known in zip(infos, limits, strict=True):
        if not known:
            raise ValueError(f"horizon must be given: an episode of {info.name} has no limit of its own, got null")
    return tuple(min(known) for known in limits)


def sizes(tasks: Task | Sequence[Task], one_hot: bool = False) -> Sizes:
    """The sizes that `mtrl.envs.make(tasks, one_hot=one_hot)` has, without making it: the largest of all tasks.

    Raises ValueError as it does.
    """
    infos = task_infos(tasks)
    observation = max(info.observation for info in infos) + one_hot * len(infos)
    return Sizes(observation, max(info.action for info in infos))


def _unknown(kind: str, name: str, known: Iterable[str]) -> str:
    closest = difflib.get_close_matches(name, [*known, *like(name)], n=1, cutoff=0)
    return f"unknown {kind} {name!r}; the closest is {closest[0]!r}"
